"""What every store promises the engine, in memory and in Firestore alike."""

import pytest
from msgspec.structs import replace

from shared.base.ids import AccountId, HoldId, entry_id_of
from shared.ledger.chain import seal
from shared.ledger.models import (
    Entry,
    EntryKind,
    Head,
    Hold,
    Leg,
    Lot,
    LotChange,
    Origin,
    RateWindow,
    Status,
)
from shared.ledger.store import CommitFailed, HeadWrite, LedgerStore, Version
from tests.ledger.builders import ADA, BEN

INT64_MAX = 2**63 - 1


def entry_of(account_id: AccountId = ADA, seq: int = 1, key: str = "key") -> Entry:
    """An entry in which every field says something."""
    return seal(
        Entry(
            account_id=account_id,
            entry_id=entry_id_of(key),
            seq=seq,
            prev_hash="p" * 64,
            kind=EntryKind.CAPTURE,
            delta_micros=-INT64_MAX,
            balance_micros=INT64_MAX,
            lots=(LotChange(Origin.PROMO, 5, -7), LotChange(Origin.PAID, None, -INT64_MAX - 1)),
            legs=(Leg(AccountId("house:revenue"), Origin.PROMO, 7), Leg(AccountId("earn:é"), Origin.PAID, INT64_MAX)),
            hold_id=HoldId("hold.with`dots"),
            request_hash="r" * 64,
            facts=(("a.b", "dotted"), ("model", "ü🙂"), ("note", "")),
            at_ms=INT64_MAX,
        )
    )


def head_of(account_id: AccountId = ADA, seq: int = 1) -> Head:
    """A head in which every field says something."""
    return Head(
        account_id=account_id,
        seq=seq,
        hash="h" * 64,
        lots=(Lot(Origin.PROMO, 5, 7), Lot(Origin.PAID, None, INT64_MAX - 7)),
        spent_micros=INT64_MAX,
        holds={HoldId("hold.with`dots"): Hold(HoldId("hold.with`dots"), 9, 1, INT64_MAX)},
        window=RateWindow(INT64_MAX, 3),
        status=Status.FROZEN,
    )


class StoreContract:
    """The promises. The classes below run them on each store; `store` is empty at first."""

    async def version_of(self, store: LedgerStore, account_id: AccountId = ADA) -> Version | None:
        return (await store.read([account_id], ())).heads[account_id].version

    async def test_absent_documents_read_as_absent(self, store: LedgerStore) -> None:
        seen = await store.read([ADA], [(ADA, entry_id_of("key"))])

        assert seen.heads[ADA].head is None
        assert seen.heads[ADA].version is None
        assert seen.entries == {}

    async def test_every_field_comes_back_as_it_was_written(self, store: LedgerStore) -> None:
        head, entry = head_of(), entry_of()

        await store.commit([HeadWrite(head, None)], [entry])
        seen = await store.read([ADA], [(ADA, entry.entry_id)])

        assert seen.heads[ADA].head == head
        assert seen.entries == {(ADA, entry.entry_id): replace(entry, facts=tuple(sorted(entry.facts)))}

    async def test_a_new_head_must_not_exist_yet(self, store: LedgerStore) -> None:
        await store.commit([HeadWrite(head_of(), None)], [])

        with pytest.raises(CommitFailed):
            await store.commit([HeadWrite(head_of(seq=2), None)], [])

    async def test_an_entry_is_only_ever_created(self, store: LedgerStore) -> None:
        versions = await store.commit([HeadWrite(head_of(), None)], [entry_of()])

        with pytest.raises(CommitFailed):
            await store.commit([HeadWrite(head_of(seq=2), versions[ADA])], [entry_of(seq=2)])

        assert (await store.read([ADA], ())).heads[ADA].head == head_of()

    async def test_a_head_is_written_over_the_expected_version_only(self, store: LedgerStore) -> None:
        first = await store.commit([HeadWrite(head_of(), None)], [])
        await store.commit([HeadWrite(head_of(seq=2), first[ADA])], [])

        with pytest.raises(CommitFailed):
            await store.commit([HeadWrite(head_of(seq=3), first[ADA])], [entry_of()])

        seen = await store.read([ADA], [(ADA, entry_of().entry_id)])
        assert seen.heads[ADA].head == head_of(seq=2)
        assert seen.entries == {}

    async def test_the_version_returned_is_the_version_read(self, store: LedgerStore) -> None:
        written = await store.commit([HeadWrite(head_of(), None)], [])
        assert await self.version_of(store) == written[ADA]

        again = await store.commit([HeadWrite(head_of(seq=2), written[ADA])], [])
        assert again[ADA] != written[ADA]
        await store.commit([HeadWrite(head_of(seq=3), again[ADA])], [])

    async def test_two_accounts_are_written_together_or_not_at_all(self, store: LedgerStore) -> None:
        ada = await store.commit([HeadWrite(head_of(ADA), None)], [])
        ben = await store.commit([HeadWrite(head_of(BEN), None)], [])
        stale = ada[ADA]
        ada = await store.commit([HeadWrite(head_of(ADA, 2), stale)], [])

        with pytest.raises(CommitFailed):
            await store.commit(
                [HeadWrite(head_of(BEN, 2), ben[BEN]), HeadWrite(head_of(ADA, 3), stale)],
                [entry_of(BEN), entry_of(ADA)],
            )
        assert await self.version_of(store, BEN) == ben[BEN]

        both = await store.commit(
            [HeadWrite(head_of(BEN, 2), ben[BEN]), HeadWrite(head_of(ADA, 3), ada[ADA])], [entry_of(BEN), entry_of(ADA)]
        )
        assert set(both) == {ADA, BEN}
        seen = await store.read([ADA, BEN], [(ADA, entry_of().entry_id), (BEN, entry_of().entry_id)])
        assert {known.version for known in seen.heads.values()} == set(both.values())
        assert len(seen.entries) == 2

    async def test_emptied_fields_are_emptied(self, store: LedgerStore) -> None:
        versions = await store.commit([HeadWrite(head_of(), None)], [])

        await store.commit([HeadWrite(Head(ADA), versions[ADA])], [])

        assert (await store.read([ADA], ())).heads[ADA].head == Head(ADA)

    async def test_what_was_read_does_not_change_afterwards(self, store: LedgerStore) -> None:
        versions = await store.commit([HeadWrite(head_of(), None)], [])
        seen = await store.read([ADA], ())

        await store.commit([HeadWrite(Head(ADA), versions[ADA])], [])

        assert seen.heads[ADA].head == head_of()


class TestMemory(StoreContract):
    @pytest.fixture
    def store(self, memory_ledger):  # type: ignore[no-untyped-def]
        return memory_ledger.store


class TestFirestore(StoreContract):
    @pytest.fixture
    def store(self, firestore_ledger):  # type: ignore[no-untyped-def]
        return firestore_ledger.store
