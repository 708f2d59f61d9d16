"""The way from a process to the store: every call takes time, and some calls or their answers get lost.

The store's servers are no process of ours: what has been sent arrives, even when its sender is dead by then.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

from simulation.faults import DEADLINE_S, LATE_S_MAX, LINGER_S_MAX, Faults

Value = TypeVar("Value")
Note = Callable[..., None]
"""Takes a line of the trace as a template and what stands in it: text that nobody reads is not put together."""
OUTSIDE = Context()
"""Where servers and the network run: in nobody's process."""


class Network:
    """Carries calls between a process and the servers."""

    def __init__(self, loop: asyncio.AbstractEventLoop, faults: Faults) -> None:
        self._loop = loop
        self._faults = faults
        self._received_s: float | None = None

    def server_s(self) -> float:
        """The time that servers write into documents: when they received what they are just applying."""
        return self._loop.time() if self._received_s is None else self._received_s

    def later(self, delay_s: float, action: Callable[..., object], *args: object) -> None:
        """Do something outside all processes."""
        self._loop.call_later(delay_s, action, *args, context=OUTSIDE)

    async def read(self, action: Callable[[], Coroutine[Any, Any, Value]], *, failure: type[Exception]) -> Value:
        """Ask a server something. Raise `failure` when there is no answer."""
        fault = "lost" if self._faults.happens(self._faults.rates.unread) else "none"
        return await self._carry(action, fault, failure)

    async def write(
        self, action: Callable[[], Coroutine[Any, Any, Value]], *, failure: type[Exception], note: Note
    ) -> Value:
        """Have a server change something, all at once. Raise `failure` when it was not done, or nobody can tell."""
        fault = self._faults.commit_fault()
        if fault != "none":
            note("its commit will be {}", fault)
        return await self._carry(action, fault, failure)

    async def _carry(
        self, action: Callable[[], Coroutine[Any, Any, Value]], fault: str, failure: type[Exception]
    ) -> Value:
        reply: asyncio.Future[Value] = self._loop.create_future()

        def apply(received_s: float) -> None:
            self._received_s = received_s
            try:
                answer = done_at_once(action())
            except Exception as error:  # noqa: BLE001 - whatever a server says goes back to its caller
                self.later(self._faults.leg_s(), _fail, reply, error)
                return
            finally:
                self._received_s = None
            if fault in ("none", "lingering"):
                self.later(self._faults.leg_s(), _succeed, reply, answer)

        def arrive() -> None:
            if fault == "lingering":
                self.later(self._faults.chance.uniform(0, LINGER_S_MAX), apply, self._loop.time())
            else:
                apply(self._loop.time())

        if fault in ("lost", "unacknowledged"):
            self.later(self._faults.error_after_s() * 2, _fail, reply, failure())
        elif fault == "aborted":
            self.later(self._faults.leg_s() * 2, _fail, reply, failure())
        elif fault in ("late", "lingering"):
            self.later(DEADLINE_S, _fail, reply, failure())
        if fault == "late":
            self.later(self._faults.chance.uniform(0, LATE_S_MAX), arrive)
        elif fault in ("none", "unacknowledged", "lingering"):
            self.later(self._faults.leg_s(), arrive)
        return await reply


def done_at_once(action: Coroutine[Any, Any, Value]) -> Value:
    """The result of a coroutine that waits for nothing: a server's step is atomic."""
    try:
        action.send(None)
    except StopIteration as end:
        value: Value = end.value
        return value
    action.close()
    raise AssertionError("the store model waited inside a step")


def _succeed(reply: "asyncio.Future[Value]", value: Value) -> None:
    if not reply.done():
        reply.set_result(value)


def _fail(reply: "asyncio.Future[Any]", error: Exception) -> None:
    if not reply.done():
        reply.set_exception(error)
