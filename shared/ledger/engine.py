"""Runs operations against the store: one commit each on the fast path, many folded into one under load.

Safety rests on the store's preconditions alone, so any number of processes may run engines over the same accounts;
what an engine remembers only makes it faster.
"""

import asyncio
import random
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from shared.base.errors import CredenceError
from shared.base.ids import AccountId
from shared.ledger.errors import ChainBroken, LedgerBusy, LedgerUnavailable
from shared.ledger.models import Entry, Head
from shared.ledger.operation import Operation
from shared.ledger.store import CommitFailed, EntryRef, HeadWrite, KnownHead, LedgerStore, StoreUnavailable

GROUP_OPERATIONS_MAX = 100
"""Operations folded into one commit: with entries of at most a few kilobytes, far below the 10 MiB of a request."""
WAITING_MAX = 2_000
"""Operations waiting for one account in one process; beyond it the caller is told to come back."""
ROUNDS_MAX = 40
"""Tries of one group against other writers and lost answers; with the pauses below, about six seconds of them."""
SETTLE_TIMEOUT_S = 30.0
"""The longest a caller waits for its group; then it learns that the outcome is unknown, and may repeat."""
PAUSE_S_MIN = 0.004
PAUSE_S_MAX = 0.25
LANES_REMEMBERED_MAX = 10_000
"""Accounts whose head this process remembers, a few hundred bytes each."""

Result = TypeVar("Result")
Sleep = Callable[[float], Awaitable[None]]


@dataclass(slots=True, eq=False)
class _Waiting:
    """An operation and whoever waits for its outcome."""

    operation: Operation[Any]
    outcome: asyncio.Future[Any]

    def succeed(self, result: object) -> None:
        if not self.outcome.done():
            self.outcome.set_result(result)

    def fail(self, error: BaseException) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(error)


class _Lane:
    """One account in this process: at most one commit in flight, a queue behind it, and the head as last seen."""

    def __init__(self, account_id: AccountId) -> None:
        self.account_id = account_id
        self.turn = asyncio.Lock()
        self.queue: deque[_Waiting] = deque()
        self.worker: asyncio.Task[None] | None = None
        self.known: KnownHead | None = None
        self.users = 0


@dataclass(slots=True)
class _Plan:
    """A group applied, in memory, on top of the heads it was given."""

    heads: dict[AccountId, Head | None]
    entries: list[Entry]
    accepted: list[tuple[_Waiting, object]]
    refused: list[_Waiting]


class Engine:
    """Runs operations. Belongs to one event loop."""

    def __init__(
        self, store: LedgerStore, *, sleep: Sleep = asyncio.sleep, jitter: random.Random | None = None
    ) -> None:
        self._store = store
        self._sleep = sleep
        self._jitter = jitter or random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._lanes: OrderedDict[AccountId, _Lane] = OrderedDict()
        self._across: set[asyncio.Task[None]] = set()

    async def run(self, operation: Operation[Result]) -> Result:
        """The operation's result once it is durable, whether now or on an earlier try; or its refusal, raised.

        Raise LedgerBusy when too much waits, LedgerUnavailable when the outcome could not be learned. A caller that
        is cancelled while waiting does not stop an operation already under way.
        """
        waiting = _Waiting(operation, asyncio.get_running_loop().create_future())
        lanes = [self._lane(account_id) for account_id in sorted(operation.account_ids)]
        for lane in lanes:
            lane.users += 1
        try:
            if len(lanes) == 1:
                self._enqueue(lanes[0], waiting)
            else:
                task = asyncio.ensure_future(self._run_across(lanes, waiting))
                self._across.add(task)
                task.add_done_callback(self._across.discard)
            result: Result = await waiting.outcome
            return result
        finally:
            for lane in lanes:
                lane.users -= 1
            self._forget_idle_lanes()

    def _enqueue(self, lane: _Lane, waiting: _Waiting) -> None:
        if len(lane.queue) >= WAITING_MAX:
            raise LedgerBusy
        lane.queue.append(waiting)
        if lane.worker is None:
            lane.worker = asyncio.ensure_future(self._drain(lane))

    async def _drain(self, lane: _Lane) -> None:
        """Commit what waits, group after group, until nothing does."""
        try:
            while lane.queue:
                async with lane.turn:
                    await self._settle([lane], _next_group(lane.queue))
        finally:
            lane.worker = None

    async def _run_across(self, lanes: Sequence[_Lane], waiting: _Waiting) -> None:
        """Run one operation on two accounts. Turns are taken in id order, so two of these never wait in a circle."""
        async with lanes[0].turn, lanes[1].turn:
            await self._settle(lanes, [waiting])

    async def _settle(self, lanes: Sequence[_Lane], group: list[_Waiting]) -> None:
        """Bring every operation of the group to an outcome, each handed to its own caller."""
        try:
            async with asyncio.timeout(SETTLE_TIMEOUT_S):
                await self._run_rounds(lanes, group)
        except (Exception, asyncio.CancelledError) as error:
            # Out of time, a broken document, a shutdown: what was in flight may stand, and nobody waits for ever.
            for lane in lanes:
                lane.known = None
            for waiting in group:
                waiting.fail(error if isinstance(error, ChainBroken) else LedgerUnavailable())
            if not isinstance(error, TimeoutError | ChainBroken):
                raise

    async def _run_rounds(self, lanes: Sequence[_Lane], group: list[_Waiting]) -> None:
        """Commit, look, commit what is left; bounded."""
        left = group
        certain = False
        for round_number in range(ROUNDS_MAX):
            try:
                left = await self._try_round(lanes, left, certain=certain)
            except (CommitFailed, StoreUnavailable):
                # The group may or may not stand; only what is stored can tell. Pause, then look.
                await self._sleep(self._pause_s(round_number))
            if not left:
                return
            left = await self._recall(lanes, left)
            if not left:
                return
            certain = all(lane.known is not None for lane in lanes)
        _fail_all(left)

    async def _try_round(self, lanes: Sequence[_Lane], group: list[_Waiting], *, certain: bool) -> list[_Waiting]:
        """Commit what can be and return the rest. `certain`: heads and entries of the group were just read together."""
        known = await self._heads(lanes)
        if certain:
            group = _refuse_finally({account_id: k.head for account_id, k in known.items()}, group)
        plan = _plan({account_id: k.head for account_id, k in known.items()}, group)
        if plan.accepted:
            changed = [
                HeadWrite(head, known[account_id].version)
                for account_id, head in plan.heads.items()
                if head is not None and head is not known[account_id].head
            ]
            versions = await self._store.commit(changed, plan.entries)
            # If we die here the entries stand, and a repeat of any of them is answered from its entry.
            for lane in lanes:
                if lane.account_id in versions:
                    lane.known = KnownHead(plan.heads[lane.account_id], versions[lane.account_id])
            for waiting, result in plan.accepted:
                waiting.succeed(result)
        return plan.refused

    async def _recall(self, lanes: Sequence[_Lane], group: list[_Waiting]) -> list[_Waiting]:
        """Reread heads and the group's entries; answer what turns out to be done, and return the rest."""
        for lane in lanes:
            lane.known = None
        refs = [ref for waiting in group if (ref := _entry_ref(waiting.operation))]
        try:
            seen = await self._store.read([lane.account_id for lane in lanes], refs)
        except StoreUnavailable:
            return group
        for lane in lanes:
            lane.known = seen.heads[lane.account_id]
        heads = {account_id: known.head for account_id, known in seen.heads.items()}
        left = []
        for waiting in group:
            try:
                result = waiting.operation.recall(heads, seen.entries)
            except CredenceError as refusal:
                waiting.fail(refusal)
                continue
            if result is None:
                left.append(waiting)
            else:
                waiting.succeed(result)
        return left

    async def _heads(self, lanes: Sequence[_Lane]) -> dict[AccountId, KnownHead]:
        """The lanes' heads as remembered; those not remembered are read."""
        if unknown := [lane for lane in lanes if lane.known is None]:
            seen = await self._store.read([lane.account_id for lane in unknown], ())
            for lane in unknown:
                lane.known = seen.heads[lane.account_id]
        return {lane.account_id: lane.known for lane in lanes if lane.known is not None}

    def _lane(self, account_id: AccountId) -> _Lane:
        lane = self._lanes.get(account_id)
        if lane is None:
            lane = self._lanes[account_id] = _Lane(account_id)
        self._lanes.move_to_end(account_id)
        return lane

    def _forget_idle_lanes(self) -> None:
        """Drop the longest unused lanes over the bound. A lane in use keeps its place: two would race needlessly."""
        for account_id in list(self._lanes)[: max(0, len(self._lanes) - LANES_REMEMBERED_MAX)]:
            lane = self._lanes[account_id]
            if not lane.users and lane.worker is None:
                del self._lanes[account_id]

    def _pause_s(self, round_number: int) -> float:
        return self._jitter.uniform(0, min(PAUSE_S_MAX, PAUSE_S_MIN * 2**round_number))


def _next_group(queue: deque[_Waiting]) -> list[_Waiting]:
    """Take a group off the queue, no entry twice in it: the repeat waits and then finds the first one's entry."""
    group: list[_Waiting] = []
    seen: set[EntryRef] = set()
    while queue and len(group) < GROUP_OPERATIONS_MAX:
        ref = _entry_ref(queue[0].operation)
        if ref in seen:
            break
        if ref:
            seen.add(ref)
        group.append(queue.popleft())
    return group


def _plan(heads: dict[AccountId, Head | None], group: list[_Waiting]) -> _Plan:
    """Apply the group in order, each on top of the last; a refused operation leaves no trace."""
    plan = _Plan(heads=dict(heads), entries=[], accepted=[], refused=[])
    for waiting in group:
        try:
            step = waiting.operation.apply(plan.heads)
        except CredenceError:
            plan.refused.append(waiting)
            continue
        plan.heads.update({head.account_id: head for head in step.heads})
        plan.entries.extend(step.entries)
        plan.accepted.append((waiting, step.result))
    return plan


def _refuse_finally(heads: dict[AccountId, Head | None], group: list[_Waiting]) -> list[_Waiting]:
    """Answer those refused by the heads as they stand, each by itself; return the others.

    Only a refusal against what is durable is final. One that rests on a commit still to come may yet be lifted.
    """
    left = []
    for waiting in group:
        try:
            waiting.operation.apply(heads)
        except CredenceError as refusal:
            waiting.fail(refusal)
            continue
        left.append(waiting)
    return left


def _entry_ref(operation: Operation[Any]) -> EntryRef | None:
    return (operation.account_ids[0], operation.entry_id) if operation.entry_id else None


def _fail_all(group: list[_Waiting]) -> None:
    for waiting in group:
        waiting.fail(LedgerUnavailable())
