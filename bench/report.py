"""What every benchmark shares: a sample's summary, the machine's noise, targets, and one JSON object on stdout."""

import argparse
import contextlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from local.stack import CANNOT_START

ROUND_DIGITS = 3


class BenchFailed(Exception):
    """The benchmark could not be run, or what it ran did not do its work; a missed target is not a failure."""


def run_bench(command: str, measure: Callable[[bool], dict[str, Any]]) -> int:
    """Run `measure` and print its figures. The exit status: 0 when it could be run, whatever the figures say, else 1.

    `measure` is told whether tiny counts were asked for (`--quick`), which try the program and measure nothing.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {command}")
    parser.add_argument("--quick", action="store_true", help="tiny counts: try the program, measure nothing")
    options = parser.parse_args()
    started_at_s = time.monotonic()
    load_before = os.getloadavg()[0]
    try:
        # The code under measurement logs to standard output, which is ours alone.
        with contextlib.redirect_stdout(sys.stderr):
            figures = measure(options.quick)
    except (BenchFailed, *CANNOT_START) as failure:
        say(f"{command} could not be run: {failure}")
        return 1
    noise = {
        **figures.pop("noise"),
        "cpus": os.cpu_count(),
        "load_before": round(load_before, 2),
        "load_after": round(os.getloadavg()[0], 2),
        "took_s": time.monotonic() - started_at_s,
    }
    sys.stdout.write(
        json.dumps(_rounded({"command": command, "quick": options.quick, **figures, "noise": noise})) + "\n"
    )
    return 0


def say(line: str) -> None:
    """Tell the person who waits how far it is."""
    print(line, file=sys.stderr, flush=True)


def at_most(bound: float, measured: float | None) -> dict[str, Any]:
    """A target that is met by a small figure. A figure that was not measured is neither met nor missed."""
    return {"target": f"<= {bound}", "measured": measured, "met": None if measured is None else measured <= bound}


def at_least(bound: float, measured: float | None) -> dict[str, Any]:
    """A target that is met by a large figure."""
    return {"target": f">= {bound}", "measured": measured, "met": None if measured is None else measured >= bound}


def exactly(value: float, measured: float) -> dict[str, Any]:
    """A target that is met by one figure only."""
    return {"target": f"= {value}", "measured": measured, "met": measured == value}


def median(sample: Sequence[float]) -> float:
    """The middle of a sample."""
    return statistics.median(sample)


def percentile(sample: Sequence[float], percent: int) -> float:
    """The value that `percent` of the sample do not exceed (the nearest one of the sample itself)."""
    ordered = sorted(sample)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * percent // 100) - 1))]


def spread(sample: Sequence[float]) -> dict[str, float]:
    """The tenth and the ninetieth percentile of a sample: how much one and the same thing varied."""
    return {"p10": percentile(sample, 10), "p90": percentile(sample, 90)}


def rotations(names: Sequence[str], rounds: int) -> Iterator[list[str]]:
    """The names once per round, each round starting with another one, so that drift and order hit all alike."""
    for number in range(rounds):
        first = number % len(names)
        yield [*names[first:], *names[:first]]


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, ROUND_DIGITS)
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    return value
