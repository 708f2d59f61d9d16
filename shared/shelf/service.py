"""The shelf: the contributed keys that this process knows, and the parts of their quotas that it may spend.

A call looks at memory only. What the store says is read anew beside calls, at most once in TEND_MS; a lease is taken
when the last one is used up, which is one commit for many calls.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping, Set
from typing import Any

from shared.base.clock import Clock, monotonic_clock, system_clock
from shared.base.ids import UserId
from shared.base.log import write_line
from shared.providers.errors import Fault, UpstreamBusy, UpstreamUnavailable
from shared.resources.models import KeyId
from shared.routing import breaker
from shared.routing.rules import draw
from shared.shelf import rules
from shared.shelf.blame import Blames
from shared.shelf.complaints import Complaints
from shared.shelf.loan import Loan
from shared.shelf.models import LeaseId, OpenLease, Shelved, Stand, new_lease_id
from shared.shelf.store import Outrun, ShelfStore, ShelfUnavailable

TEND_MS = 30_000
"""How often a process reads what keys there are. A key that was withdrawn serves no longer than this and STALE_MS."""
RETRY_MS = 5_000
"""The same when the store did not answer."""
STALE_MS = 120_000
"""What was read longer ago is not believed: a process may have stood still. The platform's own key serves meanwhile."""
LEASE_TRIES_MAX = 12
"""Of one lease, when other processes lease the same key at the same moment."""
JITTER_MS_MAX = 60
"""Spread over so much before the next try: about as long as such a commit takes."""
TELL_GRACE_S = 0.2
"""Two writes usually take a tenth of that."""
KEYS_LEASED_MAX = 16
"""Keys that one call tries to lease, when those it saw room in had none any more."""


class Shelf:
    """Chooses contributed keys and keeps count of their quotas. One per process; belongs to one event loop."""

    def __init__(
        self,
        store: ShelfStore,
        complaints: Complaints,
        hosts: Mapping[str, str],
        *,
        clock: Clock = monotonic_clock,
        wall_clock: Clock = system_clock,
        lease_id: Callable[[], LeaseId] = new_lease_id,
        seed: int = 0,
    ) -> None:
        """`hosts` are where each provider stands here: a key that was sealed for another host is none of its keys."""
        self._store = store
        self._complaints = complaints
        self._hosts = hosts
        self._clock = clock
        self._wall_clock = wall_clock
        self._lease_id = lease_id
        self._seed = seed
        self._blames = Blames()
        self._stands: dict[KeyId, Stand] = {}
        self._by_model: Mapping[tuple[str, str], list[Stand]] = {}
        self._left_over: list[tuple[Stand, OpenLease]] = []
        """Leases of keys that are no longer on the shelf."""
        self._locks: dict[KeyId, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tend_at_ms = 0
        self._believed_until_ms = 0
        self._tending: asyncio.Task[None] | None = None
        self._beside: set[asyncio.Task[None]] = set()

    def tend(self) -> None:
        """Begin to read what is due, beside the call that asks. A call without contributed keys does nothing else."""
        if self._clock() >= self._tend_at_ms and (self._tending is None or self._tending.done()):
            self._tend_at_ms = self._clock() + RETRY_MS
            self._tending = asyncio.ensure_future(self.refresh())

    async def known(self) -> None:
        """Wait until what is known may be believed, for a provider that only contributed keys open."""
        if self._clock() >= self._believed_until_ms:
            self.tend()
            if self._tending is not None:
                await asyncio.wait([self._tending])

    def has_keys(self, provider: str, model_id: str) -> bool:
        """Whether any key may serve the model at the provider."""
        return (provider, model_id) in self._by_model and self._clock() < self._believed_until_ms

    async def borrow(
        self, provider: str, model_id: str, worst_micros: int, *, payers: Set[UserId], left_out: Set[KeyId]
    ) -> Loan | None:
        """A key with the worst case of a call reserved of its quota, or None. Warm, it reads and writes nothing."""
        if worst_micros <= 0 or not self.has_keys(provider, model_id):
            return None
        without = set(left_out)
        for _ in range(KEYS_LEASED_MAX):
            stand = rules.chosen(
                self._by_model.get((provider, model_id), ()),
                worst_micros,
                now_ms=self._clock(),
                wall_ms=self._wall_clock(),
                payers=payers,
                left_out=without,
            )
            if stand is None:
                return None
            # Moved on before anything is awaited, so that calls at one moment are spread.
            stand.turn += rules.turn_of(stand.weight)
            if held := await self._room(stand, worst_micros):
                stand.condition, _ = breaker.after_admission(stand.condition, self._clock())
                return Loan(stand, held, worst_micros)
            without.add(stand.id)
        return None

    def answered(self, loan: Loan) -> None:
        """The key opened its provider."""
        now_ms = self._clock()
        loan.stand.condition = breaker.after_answer(loan.stand.condition, now_ms, probe=True, first_byte_ms=None)

    def failed(self, loan: Loan, error: UpstreamBusy | UpstreamUnavailable, *, by: Set[UserId] = frozenset()) -> None:
        """The provider refused the key or failed. A refused key rests here at once, and everywhere soon; one that `by`
        may not have rest is looked at."""
        loan.settled(0)
        if error.fault is Fault.UNFIT:
            self.unheard(loan)
            return
        if error.fault in rules.COMPLAINED and not self._blames.count(by, loan.stand.id, self._clock()):
            self.doubted(loan)
            return
        stand, now_ms = loan.stand, self._clock()
        stand.condition = breaker.after_fault(
            stand.condition, now_ms, error.fault, probe=True, retry_after_ms=error.retry_after_ms
        )
        self._weigh(stand)
        if error.fault in rules.COMPLAINED:
            self._begin(self._complaints.complain(stand.id, error.fault))

    def doubted(self, loan: Loan) -> None:
        """The provider refused what was asked; nothing shows that it was for the key, which is looked at and serves."""
        self.unheard(loan)
        self._begin(self._complaints.doubt(loan.stand.id))

    def unheard(self, loan: Loan) -> None:
        """The call ended without a word on the key: its client left, or its request was at fault."""
        loan.settled(0)
        loan.stand.condition = breaker.after_nothing(loan.stand.condition, self._clock(), probe=True)

    def sealed(self, loan: Loan) -> None:
        """The key does not open. It is left to those who look after keys."""
        loan.settled(0)
        self._put_away(loan.stand)
        self._begin(self._complaints.complain(loan.stand.id, Fault.KEY))

    async def refresh(self) -> None:
        """Read what keys there are, and close leases that are done with. Raises nothing."""
        begun_at_ms = self._clock()
        try:
            self._take_in(await self._store.active())
            self._believed_until_ms = begun_at_ms + STALE_MS
            self._tend_at_ms = begun_at_ms + TEND_MS
            await self.close_leases(unless_room_micros=1)
        except ShelfUnavailable:
            self._tend_at_ms = self._clock() + RETRY_MS
            write_line("WARNING", "shelf_not_refreshed")

    async def close_leases(self, *, unless_room_micros: int) -> None:
        """Give back what is left of leases that nobody needs: with less room than that, or too old. Raise
        ShelfUnavailable.
        """
        wall_ms = self._wall_clock()
        for stand in [*self._stands.values()]:
            for held in [*stand.leases]:
                if rules.is_done_with(held, unless_room_micros, wall_ms):
                    # Taken out first: no call may begin under it while it is being closed.
                    stand.leases.remove(held)
                    await self._close(stand, held)
        for stand, held in [*self._left_over]:
            if not held.reserved_micros:
                self._left_over.remove((stand, held))
                await self._close(stand, held)

    async def _close(self, stand: Stand, held: OpenLease) -> None:
        try:
            await self._store.close(held.lease, held.version, used_micros=held.used_micros)
        except Outrun:
            # Our first attempt landed, or the sweep has counted it.
            return
        except ShelfUnavailable:
            self._left_over.append((stand, held))
            raise

    async def _room(self, stand: Stand, worst_micros: int) -> OpenLease | None:
        """A lease that covers the call, taken now if need be. None when the quota does not."""
        if held := rules.lease_for(stand, worst_micros, self._wall_clock()):
            return held
        async with self._locks[stand.id]:
            # Whoever waited may find that the one before has leased for both.
            if held := rules.lease_for(stand, worst_micros, self._wall_clock()):
                return held
            try:
                return await self._lease(stand, worst_micros)
            except ShelfUnavailable:
                write_line("WARNING", "key_not_leased", key=stand.id)
                return None

    async def _lease(self, stand: Stand, worst_micros: int) -> OpenLease | None:
        for attempt in range(LEASE_TRIES_MAX):
            lease = rules.lease_of(stand.shelved, self._lease_id(), worst_micros, at_ms=self._wall_clock())
            if lease is None:
                return None
            try:
                stand.shelved, version = await self._store.lease(stand.shelved, lease)
            except Outrun:
                if not await self._look_again(stand):
                    return None
                await asyncio.sleep(draw(self._seed, attempt) % JITTER_MS_MAX / 1000)
                continue
            held = OpenLease(lease, version)
            stand.leases.append(held)
            return held
        return None

    async def _look_again(self, stand: Stand) -> bool:
        """Read a key that somebody else has written; False when it serves no longer."""
        found = await self._store.find(stand.id)
        if found is None or not self._is_usable(found):
            self._put_away(stand)
            return False
        stand.shelved = found
        return True

    def _take_in(self, found: list[Shelved]) -> None:
        """Put what was read on the shelf. What is known of a key stays known."""
        usable = [shelved for shelved in found if self._is_usable(shelved)]
        gone = self._stands.keys() - {shelved.key.id for shelved in usable}
        for key_id in gone:
            self._put_away(self._stands[key_id])
        owners, now_ms = rules.owners_of(usable), self._clock()
        lowest = min((stand.turn for stand in self._stands.values()), default=0)
        by_model: defaultdict[tuple[str, str], list[Stand]] = defaultdict(list)
        for index, shelved in enumerate(usable):
            key = shelved.key
            if (stand := self._stands.get(key.id)) is None:
                weight = rules.weight_of(shelved, rules.PPM, owners[key.owner])
                # Where the others are: who comes late does not get all calls until they are even.
                turn = lowest + rules.first_turn(weight, self._seed, index)
                stand = self._stands[key.id] = Stand(shelved, turn, weight)
            else:
                if shelved.key.leased_micros >= stand.shelved.key.leased_micros:
                    stand.shelved = shelved  # Else it was read before our last lease was written.
                stand.weight = rules.weight_of(
                    shelved, breaker.answered_ppm(stand.condition, now_ms), owners[key.owner]
                )
            for model_id in key.models:
                by_model[key.provider, model_id].append(stand)
        self._by_model = by_model

    def _weigh(self, stand: Stand) -> None:
        owner_keys = sum(other.shelved.key.owner == stand.shelved.key.owner for other in self._stands.values())
        answered_ppm = breaker.answered_ppm(stand.condition, self._clock())
        stand.weight = rules.weight_of(stand.shelved, answered_ppm, max(1, owner_keys))

    def _is_usable(self, shelved: Shelved) -> bool:
        host = self._hosts.get(shelved.key.provider)
        return host is not None and rules.is_usable(shelved.key, host, self._wall_clock())

    def _put_away(self, stand: Stand) -> None:
        """Take a key from the shelf. Its leases are closed when their calls are over."""
        self._stands.pop(stand.id, None)
        self._left_over += [(stand, held) for held in stand.leases]
        stand.leases = []
        self._by_model = {
            place: left
            for place, stands in self._by_model.items()
            if (left := [other for other in stands if other is not stand])
        }

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def told(self) -> None:
        """Wait a moment for complaints that are being made: a call that ends with one may be the last for a while."""
        if self._beside:
            await asyncio.wait(set(self._beside), timeout=TELL_GRACE_S)

    async def settle_down(self) -> None:
        """Wait for what was begun beside calls, and close all leases that no call is under: at the end of a process."""
        while self._beside:
            await asyncio.wait(set(self._beside))
        if self._tending is not None:
            await asyncio.wait([self._tending])
        for stand in [*self._stands.values()]:
            self._put_away(stand)
        await self.close_leases(unless_room_micros=0)
