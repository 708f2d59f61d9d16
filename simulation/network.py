"""The way from a process to the store: every call takes time, and some calls or their answers get lost.

The store's servers are no process of ours: what has been sent arrives, even when its sender is dead by then.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from simulation.faults import DEADLINE_S, LATE_S_MAX, LINGER_S_MAX, SLOW_S_MAX, Faults
from simulation.loop import VirtualLoop

Value = TypeVar("Value")
Action = Callable[[], Coroutine[Any, Any, Value]]
Note = Callable[..., None]
"""Takes a line of the trace as a template and what stands in it: text that nobody reads is not put together."""


class Network:
    """Carries calls between a process and the servers."""

    def __init__(self, loop: VirtualLoop, faults: Faults) -> None:
        self._loop = loop
        self._faults = faults
        self._received_s: float | None = None

    def server_s(self) -> float:
        """The time that servers write into documents: when they received what they are just applying."""
        return self._loop.time() if self._received_s is None else self._received_s

    def later(self, delay_s: float, action: Callable[..., object], *args: object) -> None:
        """Do something outside all processes."""
        self._loop.call_outside(delay_s, action, args)

    def read(self, action: Action[Value], *, failure: type[Exception]) -> "asyncio.Future[Value]":
        """Ask a server something. The answer is `failure` when there is none."""
        return self._carry(action, self._faults.read_fault(), failure)

    def write(self, action: Action[Value], *, failure: type[Exception], note: Note) -> "asyncio.Future[Value]":
        """Have a server change something, all at once. `failure` when it was not done, or nobody can tell."""
        fault = self._faults.commit_fault()
        if fault != "none":
            note("its commit will be {}", fault)
        return self._carry(action, fault, failure)

    def _carry(self, action: Action[Value], fault: str, failure: type[Exception]) -> "asyncio.Future[Value]":
        reply: asyncio.Future[Value] = self._loop.create_future()
        if fault in ("lost", "unacknowledged"):
            self.later(self._faults.error_after_s() * 2, _fail, reply, failure())
        elif fault == "aborted":
            self.later(self._faults.leg_s() * 2, _fail, reply, failure())
        elif fault in ("late", "lingering"):
            self.later(DEADLINE_S, _fail, reply, failure())
        if fault == "late":
            self.later(self._faults.chance.uniform(0, LATE_S_MAX), self._apply, action, reply, fault)
        elif fault == "lingering":
            self.later(self._faults.leg_s(), self._linger, action, reply, fault)
        elif fault in ("none", "unacknowledged", "slow"):
            self.later(self._faults.leg_s(), self._apply, action, reply, fault)
        return reply

    def _linger(self, action: Action[Any], reply: "asyncio.Future[Any]", fault: str) -> None:
        """A server has received the call, and sits on it."""
        delay_s = self._faults.chance.uniform(0, LINGER_S_MAX)
        self.later(delay_s, self._apply, action, reply, fault, self._loop.time())

    def _apply(
        self, action: Action[Any], reply: "asyncio.Future[Any]", fault: str, received_s: float | None = None
    ) -> None:
        """A server does what it was called for, and answers if its answer is to arrive."""
        self._received_s = received_s
        try:
            answer = done_at_once(action())
        except Exception as error:  # noqa: BLE001 - whatever a server says goes back to its caller
            # Without the server's frames, which its caller would not get either.
            self.later(self._faults.leg_s(), _fail, reply, error.with_traceback(None))
            return
        finally:
            self._received_s = None
        if fault in ("none", "lingering"):
            self.later(self._faults.leg_s(), _succeed, reply, answer)
        elif fault == "slow":
            self.later(self._faults.chance.uniform(0, SLOW_S_MAX), _succeed, reply, answer)


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
