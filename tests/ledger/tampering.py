"""A ledger with things in it, and an attacker who may write any document."""

from dataclasses import dataclass
from typing import Any

from google.cloud import firestore

from shared.base.ids import AccountId, EntryId
from shared.ledger.archive import FirestoreLedgerArchive, LedgerArchive
from shared.ledger.chain import seal
from shared.ledger.documents import entry_from
from shared.ledger.marks import AuditMarks, FirestoreAuditMarks
from shared.ledger.memory import MemoryAuditMarks, MemoryLedgerArchive, MemoryLedgerStore, MemoryLedgerWindows
from shared.ledger.store import FirestoreLedgerStore, LedgerStore
from shared.ledger.verify import verify_ledger
from shared.ledger.windows import FirestoreLedgerWindows, LedgerWindows
from tests.ledger.builders import ADA, BEN, CLARA, Ticker, capture, debit, engine_on, opened, place, transfer


@dataclass
class LedgerAt:
    """A ledger, by default in memory, and the means to tamper with it."""

    store: LedgerStore
    archive: LedgerArchive
    marks: AuditMarks
    windows: LedgerWindows

    async def edit_head(self, account_id: AccountId, **fields: Any) -> None:
        assert isinstance(self.store, MemoryLedgerStore)
        self.store.heads[account_id].update(fields)

    async def delete_head(self, account_id: AccountId) -> None:
        assert isinstance(self.store, MemoryLedgerStore)
        del self.store.heads[account_id]

    async def put_entry(self, account_id: AccountId, entry_id: str, document: dict[str, Any]) -> None:
        """Write over an entry, or insert one."""
        assert isinstance(self.store, MemoryLedgerStore)
        self.store.entries[account_id, EntryId(entry_id)] = document

    async def delete_entry(self, account_id: AccountId, entry_id: str) -> None:
        assert isinstance(self.store, MemoryLedgerStore)
        del self.store.entries[account_id, EntryId(entry_id)]


class OnFirestore(LedgerAt):
    """A ledger on the emulator and the means to tamper with it."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        super().__init__(
            FirestoreLedgerStore(client),
            FirestoreLedgerArchive(client),
            FirestoreAuditMarks(client),
            FirestoreLedgerWindows(client),
        )
        self.client = client

    async def edit_head(self, account_id: AccountId, **fields: Any) -> None:
        await self.client.document(f"accounts/{account_id}").update(fields)

    async def delete_head(self, account_id: AccountId) -> None:
        await self.client.document(f"accounts/{account_id}").delete()

    async def put_entry(self, account_id: AccountId, entry_id: str, document: dict[str, Any]) -> None:
        await self.client.document(f"accounts/{account_id}/entries/{entry_id}").set(document)

    async def delete_entry(self, account_id: AccountId, entry_id: str) -> None:
        await self.client.document(f"accounts/{account_id}/entries/{entry_id}").delete()


def in_memory(clock: Ticker | None = None) -> LedgerAt:
    """An empty ledger in memory."""
    store = MemoryLedgerStore(clock) if clock else MemoryLedgerStore()
    return LedgerAt(store, MemoryLedgerArchive(store), MemoryAuditMarks(), MemoryLedgerWindows(store))


async def filled(ledger: LedgerAt) -> None:
    """Three accounts that do all there is to do. ADA: open, grant, debit, transfer to BEN, capture."""
    await opened(ledger.store, paid=100, accounts=(ADA, BEN, CLARA))
    engine = engine_on(ledger.store)
    await engine.run(debit(10))
    await engine.run(transfer(20))
    await engine.run(place(30))
    await engine.run(capture(25))


async def document_at(ledger: LedgerAt, account_id: AccountId, seq: int) -> tuple[str, dict[str, Any]]:
    async for entry_id, document in ledger.archive.entry_documents(account_id, seq - 1):
        return entry_id, dict(document)
    raise AssertionError("no such entry")


async def rewrite(ledger: LedgerAt, account_id: AccountId, number: int, **fields: Any) -> str:
    """Change fields of a stored entry; say which entry that was."""
    entry_id, document = await document_at(ledger, account_id, number)
    await ledger.put_entry(account_id, entry_id, {**document, **fields})
    return entry_id


async def reseal(ledger: LedgerAt, account_id: AccountId, number: int, **fields: Any) -> str:
    """Change fields of a stored entry and give it the hash it should have: a forger who knows the format."""
    entry_id, document = await document_at(ledger, account_id, number)
    changed = {**document, **fields}
    forged = seal(entry_from(EntryId(entry_id), changed))
    await ledger.put_entry(account_id, entry_id, {**changed, "hash": forged.hash})
    return entry_id


async def assert_whole(store: MemoryLedgerStore) -> None:
    """Every chain holds, and no credit came from nowhere."""
    report = await verify_ledger(MemoryLedgerArchive(store), {})
    assert report.broken == ()
    assert report.drift_micros == 0
