"""What every store of the shelf promises, Firestore's and the one in memory alike."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from itertools import count

import pytest

from local.stack import Stack
from shared.agents.documents import trace_document
from shared.agents.models import Trace
from shared.base.ids import HoldId
from shared.ledger.memory import MemoryLedgerStore
from shared.ledger.service import Ledger
from shared.ledger.store import FirestoreLedgerStore
from shared.metering.models import OwedCharge
from shared.metering.store import FirestoreOwedCharges, OwedCharges
from shared.resources.models import ContributedKey, KeyId, KeyStatus
from shared.resources.store import record_document
from shared.shelf.models import LEASE_FACT, Lease, LeaseId, Shelved
from shared.shelf.store import FirestoreShelf, Outrun, ShelfStore, ShelfUnavailable
from tests.database import firestore_at
from tests.ledger.builders import ADA, NOW, Ticker, ledger_on
from tests.metering.owed import MemoryOwedCharges
from tests.shelf.builders import key_of
from tests.shelf.memory import MemoryShelf

_numbers = count()


class Bench(ABC):
    """A store, and whoever else writes beside it."""

    def __init__(self, store: ShelfStore, ledger: Ledger, owed: OwedCharges) -> None:
        self.store = store
        self.ledger = ledger
        self.owed = owed

    @abstractmethod
    async def put(self, key: ContributedKey) -> Shelved:
        """A key as its owner's functions would have left it."""

    @abstractmethod
    async def decide(self, trace: Trace) -> None:
        """A step as a job keeps it."""

    async def key(self, key_id: str = "key1") -> ContributedKey:
        found = await self.store.find(KeyId(key_id))
        assert found is not None
        return found.key


def lease_for(shelved: Shelved, amount_micros: int = 1_000, expires_at_ms: int = NOW + 1_000) -> Lease:
    return Lease(
        id=LeaseId(f"lse_{next(_numbers)}"),
        key_id=shelved.key.id,
        amount_micros=amount_micros,
        begun_at_ms=NOW,
        spend_until_ms=NOW + 500,
        expires_at_ms=expires_at_ms,
    )


class ShelfContract:
    """Subclassed once per store; `bench` is empty at first."""

    async def test_an_active_key_is_read_as_it_was_written_and_others_are_not(self, bench: Bench) -> None:
        shelved = await bench.put(key_of(leased_micros=7, returned_micros=3, cool_until_ms=NOW))
        await bench.put(key_of("paused", status=KeyStatus.PAUSED))

        assert [one.key for one in await bench.store.active()] == [shelved.key]
        assert (await bench.key("paused")).status is KeyStatus.PAUSED
        assert await bench.store.find(KeyId("absent")) is None

    async def test_of_two_that_read_the_same_one_gets_the_lease(self, bench: Bench) -> None:
        shelved = await bench.put(key_of())
        first = lease_for(shelved, 300)
        after, _ = await bench.store.lease(shelved, first)

        with pytest.raises(Outrun):
            await bench.store.lease(shelved, lease_for(shelved, 300))
        later, _ = await bench.store.lease(after, lease_for(shelved, 200))

        assert later.key.leased_micros == (await bench.key()).leased_micros == 500

    async def test_a_hundred_leases_at_once_add_up(self, bench: Bench) -> None:
        await bench.put(key_of())
        taken = 0

        async def take() -> None:
            nonlocal taken
            found = await bench.store.find(KeyId("key1"))
            assert found is not None
            try:
                await bench.store.lease(found, lease_for(found, 10))
            except (Outrun, ShelfUnavailable):
                return
            taken += 10

        for _ in range(5):
            await asyncio.gather(*(take() for _ in range(20)))

        assert (await bench.key()).leased_micros == taken > 0

    async def test_a_lease_is_closed_once_and_gives_back_what_it_did_not_use(self, bench: Bench) -> None:
        shelved = await bench.put(key_of())
        lease = lease_for(shelved, 300)
        _, version = await bench.store.lease(shelved, lease)

        await bench.store.close(lease, version, used_micros=120)
        with pytest.raises(Outrun):
            await bench.store.close(lease, version, used_micros=0)

        assert ((await bench.key()).leased_micros, (await bench.key()).returned_micros) == (300, 180)
        assert await bench.store.due(NOW + 10_000, 10) == []

    async def test_only_open_leases_that_expired_are_due_the_oldest_first(self, bench: Bench) -> None:
        shelved = await bench.put(key_of())
        leases = [lease_for(shelved, 10, expires_at_ms=NOW + wait_ms) for wait_ms in (30, 10, 20, 90)]
        for lease in leases:
            shelved, _ = await bench.store.lease(shelved, lease)

        due = await bench.store.due(NOW + 30, 2)
        await bench.store.close(due[0].lease, due[0].version, used_micros=10)

        assert [one.lease for one in due] == [leases[1], leases[2]]
        assert due[0].owner == shelved.key.owner
        assert [one.lease for one in await bench.store.due(NOW + 30, 5)] == [leases[2], leases[0]]

    async def test_a_key_that_cools_says_until_when(self, bench: Bench) -> None:
        await bench.put(key_of())

        await bench.store.cool(KeyId("key1"), NOW + 5)
        await bench.store.cool(KeyId("absent"), NOW + 5)

        assert (await bench.key()).cool_until_ms == NOW + 5

    async def test_what_was_served_under_a_lease_is_what_is_charged_owed_or_decided(self, bench: Bench) -> None:
        """A charge that is several of these, because it was made just now, counts once."""
        await bench.ledger.open(ADA)
        await bench.ledger.grant_promo(ADA, 1_000, lifetime_ms=10**9, key="funds", facts={})
        for number, lease_id in enumerate(["lse_x", "lse_x", "lse_y"]):
            hold_id = HoldId(f"hold{number}")
            await bench.ledger.hold(ADA, 100, hold_id=hold_id)
            await bench.ledger.capture(ADA, hold_id, 10 + number, facts={LEASE_FACT: lease_id})
        for owed_id, amount in (("hold1", 11), ("hold9", 5)):
            await bench.owed.put(OwedCharge(ADA, HoldId(owed_id), amount, {LEASE_FACT: "lse_x"}))

        for step, lease_id, amount in (("hold0", "lse_x", 10), ("hold8", "lse_x", 7), ("hold7", "lse_y", 7)):
            facts = {LEASE_FACT: lease_id}
            await bench.decide(Trace(step=step, tool="chat", hold_id=step, facts=facts, charged_micros=amount))

        assert await bench.store.served_micros(LeaseId("lse_x")) == 10 + 11 + 5 + 7
        assert await bench.store.served_micros(LeaseId("lse_z")) == 0


class TestMemoryShelf(ShelfContract):
    """The fake."""

    @pytest.fixture
    def bench(self) -> Bench:
        ledger, owed = MemoryLedgerStore(), MemoryOwedCharges()
        store = MemoryShelf(ledger=ledger, owed=owed)

        class InMemory(Bench):
            async def put(self, key: ContributedKey) -> Shelved:
                store.put(key)
                return Shelved(key, store.versions[key.id])  # type: ignore[arg-type]

            async def decide(self, trace: Trace) -> None:
                store.decided[trace.hold_id] = (LeaseId(str(trace.facts[LEASE_FACT])), trace.charged_micros)

        return InMemory(store, ledger_on(ledger, Ticker()), owed)


class TestFirestoreShelf(ShelfContract):
    """Firestore's emulator."""

    @pytest.fixture
    async def bench(self, stack: Stack, project_id: str) -> AsyncIterator[Bench]:
        async with firestore_at(stack.firestore_address, project_id) as client:
            store = FirestoreShelf(client)

            class InFirestore(Bench):
                async def put(self, key: ContributedKey) -> Shelved:
                    await client.collection("resources").document(key.id).set(record_document(key))
                    found = await store.find(key.id)
                    assert found is not None
                    return found

                async def decide(self, trace: Trace) -> None:
                    await client.document(f"jobs/job/steps/{trace.step}").set(trace_document(trace))

            ledger = FirestoreLedgerStore(client)
            yield InFirestore(store, ledger_on(ledger, Ticker()), FirestoreOwedCharges(client))

    async def test_what_is_no_key_is_left_out(self, stack: Stack, project_id: str) -> None:
        async with firestore_at(stack.firestore_address, project_id) as client:
            await client.collection("resources").document("odd").set({"status": "active", "quota_micros": "many"})

            assert await FirestoreShelf(client).active() == []
