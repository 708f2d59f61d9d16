"""Runs seeds on all cores, or replays one: `python -m simulation --seeds 20000`, `--seed 17 --trace`.

Progress goes to stderr. The last line of stdout is one JSON object; the exit status is 1 when a seed was violated.
"""

import argparse
import contextlib
import gc
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence

from simulation.world import Outcome, simulate

SEEDS_DEFAULT = 1_000
SEEDS_PER_TASK = 20
PROGRESS_S = 5.0
SHOWN_MAX = 20
"""Violations printed in full; by then there is enough to look at."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS_DEFAULT, help=f"how many (default {SEEDS_DEFAULT})")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default 0)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)")
    parser.add_argument("--seed", type=int, help="replay one seed")
    parser.add_argument("--trace", action="store_true", help="with --seed: print all that happens")
    options = parser.parse_args(arguments)
    started_at_s = time.monotonic()
    if options.seed is not None:
        outcomes: Iterable[Outcome] = [simulate(options.seed, tracing=options.trace)]
    else:
        outcomes = _run_all(range(options.first, options.first + options.seeds), options.workers)
    return _report(_with_progress(outcomes, options.seeds), started_at_s)


def _run_all(seeds: range, workers: int) -> Iterator[Outcome]:
    """All seeds, in order. A worker is spawned, not forked, so that it inherits no state that a replay would lack."""
    if workers == 1:
        with _collecting_between_seeds():
            yield from map(_simulate, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(workers, initializer=_stop_collecting) as pool:
        yield from pool.imap(_simulate, seeds, chunksize=SEEDS_PER_TASK)


def _simulate(seed: int) -> Outcome:
    """One seed, and its remains collected at once, while they are still in the processor's cache."""
    outcome = simulate(seed)
    gc.collect()
    return outcome


def _stop_collecting() -> None:
    """Spare what is there by now all later collections, and seeds those that would come while they run."""
    gc.collect()
    gc.freeze()
    gc.disable()


@contextlib.contextmanager
def _collecting_between_seeds() -> Iterator[None]:
    _stop_collecting()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.enable()


def _with_progress(outcomes: Iterable[Outcome], total: int) -> Iterator[Outcome]:
    started_at_s = said_at_s = time.monotonic()
    for number, outcome in enumerate(outcomes, 1):
        now_s = time.monotonic()
        if now_s - said_at_s >= PROGRESS_S:
            said_at_s = now_s
            print(f"{number} of {total} seeds, {number / (now_s - started_at_s):.0f} a second", file=sys.stderr)
        yield outcome


def _report(outcomes: Iterable[Outcome], started_at_s: float) -> int:
    seeds = violations = commits = answers = kills = 0
    simulated_s = 0.0
    for outcome in outcomes:
        seeds += 1
        commits, answers, kills = commits + outcome.commits, answers + outcome.answers, kills + outcome.kills
        simulated_s += outcome.simulated_s
        for line in outcome.trace:
            print(line)
        if outcome.violation is not None:
            violations += 1
            if violations <= SHOWN_MAX:
                print(f"seed {outcome.seed}: {outcome.violation}")
                print(f"  replay: python -m simulation --seed {outcome.seed} --trace")
    figures = {
        "command": "simulation",
        "seeds": seeds,
        "violations": violations,
        "seeds_per_s": round(seeds / max(1e-9, time.monotonic() - started_at_s), 1),
        "simulated_s": round(simulated_s),
        "commits": commits,
        "answers": answers,
        "kills": kills,
    }
    print(json.dumps(figures))
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
