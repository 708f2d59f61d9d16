"""Runs seeds on all cores, or replays one: `python -m simulation --seeds 20000`, `--seed 17 --trace`.

A long run can be done in pieces, `--first 300000 --seeds 100000`. Progress goes to stderr: seeds are told in order, so
whatever is told as done was done, and all before it. SIGINT ends a run after the seeds that are under way. The last
line of stdout is one JSON object; the exit status is 1 when a seed was violated.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from simulation.cores import run_all
from simulation.world import Outcome, simulate

SEEDS_DEFAULT = 1_000
PROGRESS_S = 10.0
SHOWN_MAX = 20
"""Violations printed in full; by then there is enough to look at."""


class Tally(Struct):
    """What all seeds so far came to."""

    first: int
    started_at_s: float
    seeds: int = 0
    violations: int = 0
    simulated_s: float = 0.0
    commits: int = 0
    answers: int = 0
    kills: int = 0

    @property
    def seeds_per_s(self) -> float:
        return self.seeds / max(1e-9, time.monotonic() - self.started_at_s)

    def add(self, outcome: Outcome) -> None:
        """Count one more."""
        self.seeds += 1
        self.violations += outcome.violation is not None
        self.simulated_s += outcome.simulated_s
        self.commits += outcome.commits
        self.answers += outcome.answers
        self.kills += outcome.kills

    def __str__(self) -> str:
        figures = {
            "command": "simulation",
            "first": self.first,
            "seeds": self.seeds,
            "violations": self.violations,
            "seeds_per_s": round(self.seeds_per_s, 1),
            "simulated_s": round(self.simulated_s),
            "commits": self.commits,
            "answers": self.answers,
            "kills": self.kills,
        }
        return json.dumps(figures)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS_DEFAULT, help=f"how many (default {SEEDS_DEFAULT})")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default 0)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)")
    parser.add_argument("--seed", type=int, help="replay one seed")
    parser.add_argument("--trace", action="store_true", help="with --seed: print all that happens")
    options = parser.parse_args(arguments)
    if options.seed is not None:
        one = (simulate(seed, tracing=options.trace) for seed in (options.seed,))
        tally = _tell(one, first=options.seed, total=1)
    else:
        with contextlib.closing(run_all(range(options.first, options.first + options.seeds), options.workers)) as all_:
            tally = _tell(all_, first=options.first, total=options.seeds)
    print(tally)
    return 1 if tally.violations else 0


def _tell(outcomes: Iterable[Outcome], *, first: int, total: int) -> Tally:
    """Print what is found, and now and then how far it is, until all is done or somebody interrupts."""
    tally = Tally(first, time.monotonic())
    said_at_s = tally.started_at_s
    with _interruptible() as interrupted:
        for outcome in outcomes:
            tally.add(outcome)
            for line in outcome.trace:
                print(line)
            if outcome.violation is not None and tally.violations <= SHOWN_MAX:
                print(f"seed {outcome.seed}: {outcome.violation}")
                print(f"  replay: python -m simulation --seed {outcome.seed} --trace", flush=True)
            if time.monotonic() - said_at_s >= PROGRESS_S or interrupted:
                said_at_s = time.monotonic()
                print(_progress(tally, total), file=sys.stderr, flush=True)
            if interrupted:
                break
    return tally


def _progress(tally: Tally, total: int) -> str:
    last = tally.first + tally.seeds - 1
    return (
        f"{tally.seeds} of {total} seeds done, {tally.first} to {last}: "
        f"{tally.violations} violated, {tally.seeds_per_s:.0f} a second"
    )


@contextlib.contextmanager
def _interruptible() -> Iterator[list[int]]:
    """A list that is no longer empty once SIGINT came. A second one does what it always does."""
    came: list[int] = []

    def interrupt(number: int, _frame: object) -> None:
        came.append(number)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, before)


if __name__ == "__main__":
    sys.exit(main())
