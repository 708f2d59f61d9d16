"""Work side by side that ends together: once one part has failed, the rest is stopped before that is told.

`asyncio.gather` alone leaves the others running when one fails. They would go on after the answer is given, and keep
connections that a repeat of the request needs; `asyncio.TaskGroup` stops them, but tells of a group of errors, and no
caller handles groups. What is stopped may have been done, as with a lost answer: only work that may be repeated belongs
here.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, TypeVar

Value = TypeVar("Value")
Other = TypeVar("Other")


async def both(one: Coroutine[Any, Any, Value], other: Coroutine[Any, Any, Other]) -> tuple[Value, Other]:
    """What both come to. Raise what the first to fail raises, once the other has ended too."""
    first, second = asyncio.ensure_future(one), asyncio.ensure_future(other)
    await _end([first, second])
    return first.result(), second.result()


async def all_of(works: Iterable[Coroutine[Any, Any, Value]]) -> list[Value]:
    """What each comes to, in their order. Raise what the first to fail raises, once all others have ended too."""
    tasks = [asyncio.ensure_future(work) for work in works]
    await _end(tasks)
    return [task.result() for task in tasks]


async def _end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
