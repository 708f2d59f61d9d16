"""Virtual time passes only where something happens, and the dead do nothing more."""

import asyncio
import time
from typing import Any

import pytest

from simulation.loop import OWNER, Stalled, VirtualLoop
from tests.ledger.builders import chance_of


class Mortal:
    """A process that dies after so many steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.tasks: list[asyncio.Task[Any]] = []

    def may_run(self) -> bool:
        self.steps -= 1
        return self.steps >= 0

    def owns(self, task: asyncio.Task[Any]) -> None:
        self.tasks.append(task)


def test_an_hour_passes_in_no_time() -> None:
    loop = VirtualLoop(chance_of(1))
    started_at_s = time.monotonic()

    loop.run(asyncio.sleep(3_600))

    assert loop.time() == 3_600
    assert time.monotonic() - started_at_s < 1


def test_timeouts_and_locks_work_in_virtual_time() -> None:
    async def main() -> None:
        lock = asyncio.Lock()
        async with lock:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(30):
                    await lock.acquire()

    loop = VirtualLoop(chance_of(1))
    loop.run(main())

    assert loop.time() == 30


def test_waiting_for_nothing_is_told() -> None:
    with pytest.raises(Stalled):
        VirtualLoop(chance_of(1)).run(asyncio.Event().wait())  # type: ignore[arg-type]


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_a_killed_process_runs_no_cleanup(steps: int) -> None:
    done: list[str] = []
    started: list[asyncio.Task[None]] = []

    async def work() -> None:
        try:
            for name in "abcd":
                done.append(name)
                await asyncio.sleep(1)
        finally:
            done.append("cleaned up")

    async def main() -> None:
        OWNER.set(mortal)
        started.append(asyncio.ensure_future(work()))
        OWNER.set(None)
        await asyncio.sleep(60)
        assert done == list("abcd")[: (steps + 1) // 2]

    mortal = Mortal(steps)
    loop = VirtualLoop(chance_of(1))
    loop.run(main())
    mortal.steps = 100
    loop.clear(mortal.tasks)

    assert all(task.done() for task in mortal.tasks)
