"""One piece of work at a time per key: who asks while it is under way shares its outcome."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class SingleFlight(Generic[Key, Value]):
    """Belongs to the event loop it is first used in. Remembers nothing once the work is finished."""

    def __init__(self) -> None:
        self._tasks: dict[Key, asyncio.Task[Value]] = {}

    async def run(self, key: Key, work: Callable[[], Coroutine[None, None, Value]]) -> Value:
        """Return or raise what `work` does. A caller that is cancelled leaves the work running for the others."""
        task = self._tasks.get(key)
        if task is None:
            task = asyncio.create_task(work())
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._land(key, done))
        return await asyncio.shield(task)

    def is_under_way(self, key: Key) -> bool:
        """Whether `run` would share what somebody else began."""
        return key in self._tasks

    def _land(self, key: Key, task: asyncio.Task[Value]) -> None:
        del self._tasks[key]
        if not task.cancelled():
            # Looked at, so that a failure nobody waits for any more is not reported as forgotten.
            task.exception()
