"""Contributed keys and leases in memory, and the promises that both stores keep."""

import asyncio

from msgspec.structs import replace

from shared.ledger.memory import MemoryLedgerStore
from shared.resources.models import ContributedKey, KeyId, KeyStatus
from shared.shelf.models import LEASE_FACT, DueLease, Lease, LeaseId, Shelved, Version
from shared.shelf.store import Outrun, ShelfUnavailable
from tests.metering.owed import MemoryOwedCharges


class MemoryShelf:
    """What Firestore keeps, in dictionaries. `down` makes it answer nothing; `lost` loses the answer to a lease."""

    def __init__(
        self, *keys: ContributedKey, ledger: MemoryLedgerStore | None = None, owed: MemoryOwedCharges | None = None
    ) -> None:
        self.keys = {key.id: key for key in keys}
        self.versions = dict.fromkeys(self.keys, 1)
        self.open: dict[LeaseId, Lease] = {}
        self.closed: dict[LeaseId, tuple[Lease, int]] = {}
        self.ledger = ledger
        self.owed = owed
        self.decided: dict[str, tuple[LeaseId, int]] = {}
        """Steps of jobs whose charge is decided: under which lease they were served, by their holds."""
        self.down = False
        self.lost = False
        self.down_for_counting = False
        self.reads = 0
        self.leased = 0

    async def active(self) -> list[Shelved]:
        await self._answer()
        return [self._shelved(key) for key in self.keys.values() if key.status is KeyStatus.ACTIVE]

    async def find(self, key_id: KeyId) -> Shelved | None:
        await self._answer()
        return self._shelved(self.keys[key_id]) if key_id in self.keys else None

    async def lease(self, shelved: Shelved, lease: Lease) -> tuple[Shelved, Version]:
        await self._answer()
        key = self.keys.get(lease.key_id)
        if key is None or self.versions[key.id] != shelved.version:
            raise Outrun
        self.leased += 1
        key = self.put(replace(key, leased_micros=key.leased_micros + lease.amount_micros))
        self.open[lease.id] = lease
        if self.lost:
            raise ShelfUnavailable
        return self._shelved(key), Version(1)

    async def close(self, lease: Lease, version: Version, *, used_micros: int) -> None:
        await self._answer()
        if self.open.pop(lease.id, None) is None:
            raise Outrun
        self.closed[lease.id] = (lease, used_micros)
        key = self.keys[lease.key_id]
        self.put(replace(key, returned_micros=key.returned_micros + lease.amount_micros - used_micros))

    async def cool(self, key_id: KeyId, until_ms: int) -> None:
        await self._answer()
        if key_id in self.keys:
            self.put(replace(self.keys[key_id], cool_until_ms=until_ms))

    async def due(self, expired_by_ms: int, limit: int) -> list[DueLease]:
        await self._answer()
        due = [lease for lease in self.open.values() if lease.expires_at_ms <= expired_by_ms]
        due.sort(key=lambda lease: lease.expires_at_ms)
        return [DueLease(lease, self.keys[lease.key_id].owner, Version(1)) for lease in due[:limit]]

    async def served_micros(self, lease_id: LeaseId) -> int:
        await self._answer()
        if self.down_for_counting:
            raise ShelfUnavailable
        used = {hold_id: micros for hold_id, (served, micros) in self.decided.items() if served == lease_id}
        owed = self.owed.charges.values() if self.owed else ()
        used |= {charge.hold_id: charge.amount_micros for charge in owed if charge.facts.get(LEASE_FACT) == lease_id}
        for document in self.ledger.entries.values() if self.ledger else ():
            if document["facts"].get(LEASE_FACT) == lease_id:
                used[document["hold_id"]] = -document["delta_micros"]
        return sum(used.values())

    def put(self, key: ContributedKey) -> ContributedKey:
        """Somebody writes a key."""
        self.keys[key.id] = key
        self.versions[key.id] = self.versions.get(key.id, 0) + 1
        return key

    def _shelved(self, key: ContributedKey) -> Shelved:
        return Shelved(key, Version(self.versions[key.id]))

    async def _answer(self) -> None:
        self.reads += 1
        await asyncio.sleep(0)
        if self.down:
            raise ShelfUnavailable
