"""An event loop in virtual time whose every choice follows from a seed: nothing sleeps and nothing runs beside it.

Each call belongs to the process in whose context it was made. A dead process's calls are dropped unrun, so that it
stops between two awaits as a killed one does, without any of its own cleaning up.
"""

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any, Protocol

from msgspec import Struct

EPOCH_MS = 1_800_057_600_000 - 300_000
"""What a right clock says when virtual time begins: five minutes before midnight, so that a day ends in most seeds."""


class Owner(Protocol):
    """The process that a call belongs to."""

    def may_run(self) -> bool:
        """Asked before each of its calls: whether it still lives. It may die of the question."""

    def owns(self, task: "asyncio.Task[Any]") -> None:
        """Told of each task it starts. It keeps them, so that none is collected, and cleans up, at random."""


OWNER: ContextVar[Owner | None] = ContextVar("owner", default=None)
"""Whose code runs; None stands for the world outside all processes: clients, the network, the store's servers."""
_OUTSIDE = Context()


class Stalled(Exception):
    """Nothing is left that could ever finish what is waited for."""


class _Call(Struct, eq=False):
    """What asyncio calls a handle."""

    callback: Callable[..., object] | None
    args: tuple[Any, ...]
    context: Context
    owner: Owner | None
    when_s: float

    def cancel(self) -> None:
        self.callback, self.args = None, ()

    def cancelled(self) -> bool:
        return self.callback is None

    def when(self) -> float:
        return self.when_s


class VirtualLoop(asyncio.AbstractEventLoop):
    """The few services of a loop that tasks, locks and timeouts ask for."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._now_s = 0.0
        self._ready: list[_Call] = []
        self._timers: list[tuple[float, int, _Call]] = []
        self._dropped: list[_Call] = []
        self._numbers = itertools.count()
        self._failure: BaseException | None = None
        self._deaf = False

    def time(self) -> float:
        return self._now_s

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> Any:
        if context is None:
            context = copy_context()
        call = _Call(callback, args, context, context.get(OWNER), self._now_s)
        self._ready.append(call)
        return call

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> Any:
        return self._push(when, callback, args, context)

    def call_later(self, delay: float, callback: Any, *args: Any, context: Context | None = None) -> Any:
        return self._push(self._now_s + delay, callback, args, context)

    def call_outside(self, delay_s: float, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        """Do something later, in nobody's process: where clients, servers and the network are."""
        when_s = self._now_s + delay_s
        call = _Call(callback, args, _OUTSIDE, None, when_s)
        heapq.heappush(self._timers, (when_s, next(self._numbers), call))

    def _push(
        self, when_s: float, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> _Call:
        if context is None:
            context = copy_context()
        call = _Call(callback, args, context, context.get(OWNER), when_s)
        heapq.heappush(self._timers, (when_s, next(self._numbers), call))
        return call

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> "asyncio.Task[Any]":
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        owner = OWNER.get() if context is None else context.get(OWNER)
        if owner is not None:
            owner.owns(task)
        return task

    # Asked for by each future and each task; this is how the answer "no" costs least.
    get_debug = staticmethod(bool)

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        # A loop that has ended hears of its remains whenever they are collected, which proves nothing.
        error = context.get("exception")
        if isinstance(error, Exception) and not self._deaf:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """End the run with this error, whoever finds it."""
        self._failure = self._failure or error

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Run until `main` is done, jumping from one moment at which something happens to the next."""
        asyncio._set_running_loop(self)
        try:
            task = self.create_task(main)
            while not task.done():
                if self._ready:
                    self._run_batch()
                else:
                    self._run_timer()
                if self._failure:
                    raise self._failure
            task.result()
        finally:
            self._deaf = True
            asyncio._set_running_loop(None)

    def clear(self, tasks: "list[asyncio.Task[Any]]") -> None:
        """After the run: let these end in peace, so that none is left half run."""
        asyncio._set_running_loop(self)
        self._failure = None
        try:
            for _ in range(100):
                left = [task for task in tasks if not task.done()]
                if not left:
                    return
                for task in left:
                    task.cancel()
                # A task whose next step was dropped can not end without it.
                self._ready, self._dropped = self._dropped + self._ready, []
                while self._ready:
                    self._run_batch()
        finally:
            asyncio._set_running_loop(None)

    def _run_timer(self) -> None:
        """Jump to the next moment at which something happens."""
        while self._timers:
            when_s, _, call = heapq.heappop(self._timers)
            if call.callback is not None:
                if when_s > self._now_s:
                    self._now_s = when_s
                self._run_call(call)
                return
        raise Stalled

    def _run_batch(self) -> None:
        batch, self._ready = self._ready, []
        for call in batch if len(batch) == 1 else self._in_seeded_order(batch):
            if call.callback is not None:
                self._run_call(call)
                if self._failure and not self._deaf:
                    return

    def _run_call(self, call: _Call) -> None:
        callback = call.callback
        if callback is not None and (call.owner is None or call.owner.may_run()):
            call.context.run(callback, *call.args)
        else:
            self._dropped.append(call)

    def _in_seeded_order(self, batch: list[_Call]) -> list[_Call]:
        """Processes take turns by chance. Within one, calls keep the order that asyncio promises."""
        ranks = {id(call.owner): 0.0 for call in batch}
        if len(ranks) == 1:
            return batch
        for owner in ranks:
            ranks[owner] = self._chance.random()
        return sorted(batch, key=lambda call: ranks[id(call.owner)])
