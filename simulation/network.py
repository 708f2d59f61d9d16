"""The way from a process to the store: every call takes time, and some calls or their answers get lost.

The store's servers are no process of ours: what has been sent arrives, even when its sender is dead by then.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextvars import Context
from typing import Any, TypeVar

from shared.base.ids import AccountId
from shared.ledger.memory import MemoryLedgerStore
from shared.ledger.models import Entry
from shared.ledger.store import CommitFailed, EntryRef, HeadWrite, Snapshot, StoreUnavailable, Version
from simulation.faults import DEADLINE_S, LATE_S_MAX, Faults

Value = TypeVar("Value")
Note = Callable[[str], None]
OUTSIDE = Context()
"""Where servers and the network run: in nobody's process."""


class Network:
    """Carries calls between a process and the servers."""

    def __init__(self, loop: asyncio.AbstractEventLoop, faults: Faults) -> None:
        self._loop = loop
        self._faults = faults

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
            note(f"its commit will be {fault}")
        return await self._carry(action, fault, failure)

    async def _carry(
        self, action: Callable[[], Coroutine[Any, Any, Value]], fault: str, failure: type[Exception]
    ) -> Value:
        reply: asyncio.Future[Value] = self._loop.create_future()

        def arrive() -> None:
            try:
                answer = done_at_once(action())
            except failure as error:
                self.later(self._faults.leg_s(), _fail, reply, error)
                return
            if fault == "none":
                self.later(self._faults.leg_s(), _succeed, reply, answer)

        if fault in ("lost", "unacknowledged"):
            self.later(self._faults.error_after_s() * 2, _fail, reply, failure())
        elif fault == "aborted":
            self.later(self._faults.leg_s() * 2, _fail, reply, failure())
        elif fault == "late":
            self.later(DEADLINE_S, _fail, reply, failure())
            self.later(self._faults.chance.uniform(0, LATE_S_MAX), arrive)
        if fault in ("none", "unacknowledged"):
            self.later(self._faults.leg_s(), arrive)
        return await reply


class ProcessStore:
    """One process's store: the model in memory at the other end of the network."""

    def __init__(self, network: Network, memory: MemoryLedgerStore, applied: Callable[..., None], note: Note) -> None:
        self._network = network
        self._memory = memory
        self._applied = applied
        self._note = note

    async def read(self, account_ids: Sequence[AccountId], entry_refs: Sequence[EntryRef]) -> Snapshot:
        return await self._network.read(lambda: self._memory.read(account_ids, entry_refs), failure=StoreUnavailable)

    async def commit(self, heads: Sequence[HeadWrite], entries: Sequence[Entry]) -> Mapping[AccountId, Version]:
        async def commit() -> Mapping[AccountId, Version]:
            versions = await self._memory.commit(heads, entries)
            self._applied(heads, entries)
            return versions

        return await self._network.write(commit, failure=CommitFailed, note=self._note)


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
