"""A ledger in memory with the index that Firestore has and its emulator lacks, which counts what Firestore would bill.

The emulator looks at every document for every query, so that its own time grows with the square of a ledger.
"""

from bisect import bisect_left, insort
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

from bench.rpcs import Cost
from shared.base.ids import AccountId
from shared.ledger.documents import BANDS, Document, band_of
from shared.ledger.memory import MemoryLedgerStore, MemoryLedgerWindows
from shared.ledger.models import Entry
from shared.ledger.store import EntryRef, HeadWrite, Snapshot, Version
from shared.ledger.windows import PAGE_ENTRIES_MAX, Horizons


class CountedLedger(MemoryLedgerStore):
    """The store's model, which counts reads and writes and keeps each band's entries in the order of their commits."""

    def __init__(self) -> None:
        super().__init__()
        self.cost = Cost()
        self.by_band: dict[int, list[tuple[datetime, EntryRef]]] = {band: [] for band in range(BANDS)}

    def take(self) -> Cost:
        """What was counted since the last time; the count starts again."""
        cost, self.cost = self.cost, Cost()
        return cost

    def put(self, ref: EntryRef, document: dict[str, object], committed_at: datetime) -> None:
        """An entry as if it had been committed then."""
        self.entries[ref] = {**document, "committed_at": committed_at}
        insort(self.by_band[band_of(ref[0])], (committed_at, ref))

    async def read(self, account_ids: Sequence[AccountId], entry_refs: Sequence[EntryRef]) -> Snapshot:
        self.cost += Cost(1, reads=len(account_ids) + len(entry_refs))
        return await super().read(account_ids, entry_refs)

    async def commit(self, heads: Sequence[HeadWrite], entries: Sequence[Entry]) -> Mapping[AccountId, Version]:
        versions = await super().commit(heads, entries)
        self.cost += Cost(1, writes=len(heads) + len(entries))
        for entry in entries:
            ref = (entry.account_id, entry.entry_id)
            insort(self.by_band[band_of(entry.account_id)], (self.entries[ref]["committed_at"], ref))
        return versions


class CountedWindows(MemoryLedgerWindows):
    """The windows of such a ledger."""

    def __init__(self, ledger: CountedLedger) -> None:
        super().__init__(ledger)
        self._ledger = ledger

    async def horizons(self) -> Horizons:
        self._ledger.cost += Cost(1, reads=BANDS)
        return await super().horizons()

    async def put_horizon(self, band: int, settled_until: datetime) -> None:
        self._ledger.cost += Cost(1, writes=1)
        await super().put_horizon(band, settled_until)

    async def first_committed_at(self, band: int, since: datetime | None) -> datetime | None:
        self._ledger.cost += Cost(1, reads=1)
        return await super().first_committed_at(band, since)

    async def entries_between(
        self, band: int, since: datetime | None, before: datetime | None
    ) -> AsyncIterator[tuple[EntryRef, Document]]:
        found = 0
        async for entry in super().entries_between(band, since, before):
            found += 1
            yield entry
        # A page that is full is followed by another, and an empty one is billed as a read.
        pages = found // PAGE_ENTRIES_MAX + 1
        self._ledger.cost += Cost(pages, reads=found + (found % PAGE_ENTRIES_MAX == 0))

    async def existing(self, refs: Sequence[EntryRef], *, read_at: datetime) -> frozenset[EntryRef]:
        self._ledger.cost += Cost(1, reads=len(refs))
        return await super().existing(refs, read_at=read_at)

    def _ordered(self, band: int, since: datetime | None, before: datetime | None) -> list[tuple[datetime, EntryRef]]:
        rows = self._ledger.by_band[band]
        first = bisect_left(rows, since, key=lambda row: row[0]) if since else 0
        last = bisect_left(rows, before, key=lambda row: row[0]) if before else len(rows)
        return rows[first:last]
