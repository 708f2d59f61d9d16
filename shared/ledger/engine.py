"""Runs operations against the store: one commit each on the fast path, many folded into one under load.

Safety rests on the store's preconditions alone, so any number of processes may run engines over the same accounts;
what an engine remembers only makes it faster.
"""

import asyncio
import random
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import TypeVar

from msgspec import Struct

from shared.base.errors import CredenceError
from shared.base.ids import AccountId
from shared.ledger.errors import ChainBroken, LedgerBusy, LedgerUnavailable
from shared.ledger.group import (
    Doubt,
    Waiting,
    fail_all,
    next_group,
    plan_group,
    refuse_finally,
    waiting_for,
)
from shared.ledger.operation import Operation
from shared.ledger.store import CommitFailed, HeadWrite, KnownHead, LedgerStore, StoreUnavailable

WAITING_MAX = 2_000
"""Operations waiting for one account in one process, and transfers waiting in all; beyond it the caller is told to
come back."""
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


class _Lane:
    """One account in this process: at most one commit in flight, a queue behind it, and the head as last seen."""

    def __init__(self, account_id: AccountId) -> None:
        self.account_id = account_id
        self.turn = asyncio.Lock()
        self.queue: deque[Waiting] = deque()
        self.worker: asyncio.Task[None] | None = None
        self.known: KnownHead | None = None
        self.users = 0


class _Effort(Struct):
    """A group that is being brought to its outcomes."""

    left: list[Waiting]
    certain: bool = False
    """Heads and the group's entries were just read together."""
    doubt: Doubt | None = None


class Engine:
    """Runs operations. Belongs to one event loop."""

    def __init__(
        self,
        store: LedgerStore,
        *,
        sleep: Sleep = asyncio.sleep,
        jitter: random.Random | None = None,
        settle_timeout_s: float = SETTLE_TIMEOUT_S,
        lanes_max: int = LANES_REMEMBERED_MAX,
    ) -> None:
        self._store = store
        self._settle_timeout_s = settle_timeout_s
        self._lanes_max = lanes_max
        self._sleep = sleep
        self._jitter = jitter or random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._lanes: OrderedDict[AccountId, _Lane] = OrderedDict()
        self._across: set[asyncio.Task[None]] = set()

    async def run(self, operation: Operation[Result]) -> Result:
        """The operation's result once it is durable, whether now or on an earlier try; or its refusal, raised.

        Raise LedgerBusy when too much waits, LedgerUnavailable when the outcome could not be learned. A caller that
        is cancelled while waiting does not stop an operation already under way.
        """
        waiting = waiting_for(operation)
        lanes = [self._lane(account_id) for account_id in sorted(set(operation.account_ids))]
        for lane in lanes:
            lane.users += 1
        try:
            if len(lanes) == 1:
                self._enqueue(lanes[0], waiting)
            else:
                self._start_across(lanes, waiting)
            result: Result = await waiting.outcome
            return result
        finally:
            for lane in lanes:
                lane.users -= 1
            self._forget_idle_lanes()
            # A refusal holds this frame; if the frame held the refusal too, only a collection would part them.
            del waiting

    def _enqueue(self, lane: _Lane, waiting: Waiting) -> None:
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
                    await self._settle([lane], next_group(lane.queue))
        except asyncio.CancelledError:
            fail_all(lane.queue)
            lane.queue.clear()
            raise
        finally:
            # After an unforeseen failure, which only its own group hears of, the others are still served.
            lane.worker = asyncio.ensure_future(self._drain(lane)) if lane.queue else None

    def _start_across(self, lanes: Sequence[_Lane], waiting: Waiting) -> None:
        if len(self._across) >= WAITING_MAX:
            raise LedgerBusy
        task = asyncio.ensure_future(self._run_across(lanes, waiting))
        self._across.add(task)
        task.add_done_callback(self._across.discard)

    async def _run_across(self, lanes: Sequence[_Lane], waiting: Waiting) -> None:
        """Run one operation on two accounts. Turns are taken in id order, so two of these never wait in a circle."""
        try:
            async with lanes[0].turn, lanes[1].turn:
                await self._settle(lanes, [waiting])
        except asyncio.CancelledError:
            fail_all([waiting])
            raise

    async def _settle(self, lanes: Sequence[_Lane], group: list[Waiting]) -> None:
        """Bring every operation of the group to an outcome, each handed to its own caller."""
        try:
            async with asyncio.timeout(self._settle_timeout_s):
                await self._run_rounds(lanes, group)
        except (Exception, asyncio.CancelledError) as error:
            # Out of time, a broken document, a shutdown: what was in flight may stand, and nobody waits for ever.
            for lane in lanes:
                lane.known = None
            for waiting in group:
                waiting.fail(error if isinstance(error, ChainBroken) else LedgerUnavailable())
            if not isinstance(error, TimeoutError | ChainBroken):
                raise

    async def _run_rounds(self, lanes: Sequence[_Lane], group: list[Waiting]) -> None:
        """Commit, look, commit what is left; bounded."""
        effort = _Effort(group)
        for round_number in range(ROUNDS_MAX):
            try:
                await self._try_round(lanes, effort)
            except (CommitFailed, StoreUnavailable):
                # The group may or may not stand; only what is stored can tell. Pause, then look.
                await self._sleep(self._pause_s(round_number))
            if effort.left:
                await self._recall(lanes, effort)
            if not effort.left:
                return
        fail_all(effort.left)

    async def _try_round(self, lanes: Sequence[_Lane], effort: _Effort) -> None:
        """Commit what can be; leave the rest in the effort."""
        known = await self._heads(lanes)
        heads = {account_id: k.head for account_id, k in known.items()}
        if effort.certain:
            in_doubt = effort.doubt.operations if effort.doubt else frozenset()
            effort.left = refuse_finally(heads, effort.left, in_doubt=in_doubt)
        plan = plan_group(heads, effort.left)
        if plan.accepted:
            changed = [
                HeadWrite(head, known[account_id].version)
                for account_id, head in plan.heads.items()
                if head is not None and head is not known[account_id].head
            ]
            expected = {write.head.account_id: write.expected for write in changed}
            operations = frozenset(waiting for waiting, _ in plan.accepted)
            created = frozenset((entry.account_id, entry.entry_id) for entry in plan.entries)
            effort.doubt = Doubt(expected, operations, created)
            versions = await self._store.commit(changed, plan.entries)
            # If we die here the entries stand, and a repeat of any of them is answered from its entry.
            effort.doubt = None
            for lane in lanes:
                if lane.account_id in versions:
                    lane.known = KnownHead(plan.heads[lane.account_id], versions[lane.account_id])
            for waiting, result in plan.accepted:
                waiting.succeed(result)
        effort.left = plan.refused

    async def _recall(self, lanes: Sequence[_Lane], effort: _Effort) -> None:
        """Reread heads and the group's entries; answer what turns out to be done, and leave the rest."""
        effort.certain = False
        for lane in lanes:
            lane.known = None
        refs = [waiting.ref for waiting in effort.left if waiting.ref]
        try:
            seen = await self._store.read([lane.account_id for lane in lanes], refs)
        except StoreUnavailable:
            return
        for lane in lanes:
            lane.known = seen.heads[lane.account_id]
        if effort.doubt and not effort.doubt.may_land(seen.heads, seen.entries):
            effort.doubt = None
        in_doubt = effort.doubt.operations if effort.doubt else frozenset()
        heads = {account_id: known.head for account_id, known in seen.heads.items()}
        left = []
        for waiting in effort.left:
            if waiting in in_doubt:
                # What is seen now is from before that commit, which may still take effect.
                left.append(waiting)
                continue
            try:
                result = waiting.operation.recall(heads, seen.entries)
            except CredenceError as refusal:
                waiting.fail(refusal)
                continue
            if result is None:
                left.append(waiting)
            else:
                waiting.succeed(result)
        effort.left, effort.certain = left, True

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
        excess = len(self._lanes) - self._lanes_max
        if excess <= 0:
            return
        for lane in list(islice(self._lanes.values(), excess)):
            if not lane.users and lane.worker is None and not lane.turn.locked():
                del self._lanes[lane.account_id]

    def _pause_s(self, round_number: int) -> float:
        return self._jitter.uniform(0, min(PAUSE_S_MAX, PAUSE_S_MIN * 2**round_number))
