"""Runs seeds on all cores. Apart from `__main__`, in which a spawned process could not find what it is to do."""

import contextlib
import gc
import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from threading import Thread

from simulation.world import Outcome, simulate

SEEDS_PER_TASK = 20


def run_all(seeds: range, workers: int) -> Iterator[Outcome]:
    """All seeds, in order. A worker is spawned, not forked, so that it inherits no state that a replay would lack."""
    if workers == 1:
        with _collecting_between_seeds():
            yield from map(_simulate, seeds)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare_worker)
    try:
        yield from pool.map(_simulate, seeds, chunksize=SEEDS_PER_TASK)
    finally:
        pool.shutdown(cancel_futures=True)


def _simulate(seed: int) -> Outcome:
    """One seed, and its remains collected at once, while they are still in the processor's cache."""
    outcome = simulate(seed)
    gc.collect()
    return outcome


def _prepare_worker() -> None:
    # A terminal interrupts all processes in it; what is to be done about that, the first one decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_the_first, daemon=True).start()
    _stop_collecting()


def _end_with_the_first() -> None:
    """When the first process is killed, nobody would ever tell the others to end."""
    if first := multiprocessing.parent_process():
        first.join()
        os._exit(1)


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
