"""The store's model in memory: the same promises as Firestore's, for rules, engine tests and simulation.

It keeps documents, not values, so that conversion is exercised and a test can tamper with what is stored.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from shared.base.clock import Clock, system_clock
from shared.base.ids import AccountId, EntryId
from shared.ledger.archive import Changes, Stamp
from shared.ledger.documents import BANDS, Document, entry_document, entry_from, head_document, head_from, lanes_of
from shared.ledger.marks import START, Alarm, Mark
from shared.ledger.models import Entry
from shared.ledger.store import CommitFailed, EntryRef, HeadWrite, KnownHead, Snapshot, Version
from shared.ledger.windows import Horizons

Value = TypeVar("Value")


class MemoryLedgerStore:
    """All accounts of a ledger, in dictionaries. One event loop only."""

    def __init__(self, clock: Clock = system_clock) -> None:
        self.clock = clock
        self.heads: dict[AccountId, dict[str, Any]] = {}
        self.entries: dict[EntryRef, dict[str, Any]] = {}
        self._versions: dict[AccountId, Version] = {}
        self._commits = 0

    async def read(self, account_ids: Sequence[AccountId], entry_refs: Sequence[EntryRef]) -> Snapshot:
        heads = {account_id: self._known(account_id) for account_id in account_ids}
        entries = {ref: entry_from(ref[1], self.entries[ref]) for ref in entry_refs if ref in self.entries}
        return Snapshot(heads, entries)

    async def commit(self, heads: Sequence[HeadWrite], entries: Sequence[Entry]) -> Mapping[AccountId, Version]:
        refs = [(entry.account_id, entry.entry_id) for entry in entries]
        stale = any(self._versions.get(w.head.account_id) != w.expected for w in heads)
        if stale or len(set(refs)) < len(refs) or any(ref in self.entries for ref in refs):
            raise CommitFailed
        self._commits += 1
        now = self.server_time()
        for write in heads:
            self.heads[write.head.account_id] = {**head_document(write.head), "posted_at": now}
            self._versions[write.head.account_id] = Version(self._commits)
        for ref, entry in zip(refs, entries, strict=True):
            self.entries[ref] = {**entry_document(entry), "committed_at": now}
        return {write.head.account_id: Version(self._commits) for write in heads}

    def server_time(self) -> datetime:
        """What the server's clock says, in milliseconds like Firestore's own timestamps."""
        return datetime.fromtimestamp(self.clock() / 1000, UTC)

    def _known(self, account_id: AccountId) -> KnownHead:
        if account_id not in self.heads:
            return KnownHead(None, None)
        head = head_from(account_id, self.heads[account_id])
        return KnownHead(head, Version(self._versions[account_id]))


class MemoryLedgerArchive:
    """The archive of a ledger in memory."""

    def __init__(self, store: MemoryLedgerStore) -> None:
        self._store = store

    async def head_document(self, account_id: AccountId) -> Document | None:
        return copied(self._store.heads.get(account_id))

    async def head_documents(self, account_ids: Sequence[AccountId]) -> Mapping[AccountId, Document]:
        return {name: copied(self._store.heads[name]) for name in account_ids if name in self._store.heads}

    async def head_and_count(self, account_id: AccountId) -> tuple[Document | None, int]:
        return await self.head_document(account_id), len(self.entry_ids(account_id))

    def entry_ids(self, account_id: AccountId) -> Sequence[EntryId]:
        """The account's entries, in no order."""
        return [entry_id for owner, entry_id in self._store.entries if owner == account_id]

    async def entry_documents(
        self, account_id: AccountId, after_seq: int = 0
    ) -> AsyncIterator[tuple[EntryId, Document]]:
        own = [(entry_id, self._store.entries[account_id, entry_id]) for entry_id in self.entry_ids(account_id)]
        ordered = sorted(
            (document["seq"], entry_id, document)
            for entry_id, document in own
            if isinstance(document.get("seq"), int | float) and document["seq"] > after_seq
        )
        for _, entry_id, document in ordered:
            yield entry_id, copied(document)

    async def entries_named(self, refs: Sequence[EntryRef]) -> Mapping[EntryRef, Document]:
        return {ref: copied(self._store.entries[ref]) for ref in refs if ref in self._store.entries}

    async def account_ids(self) -> AsyncIterator[AccountId]:
        for account_id in sorted({*self._store.heads, *(owner for owner, _ in self._store.entries)}):
            yield account_id

    async def account_count(self) -> int:
        return len(self._store.heads)

    async def changed_after(self, lanes: Sequence[int], after: Stamp | None, limit: int) -> Changes:
        start = None if after is None else (after.posted_at, after.account_id)
        later = [
            (document["posted_at"], account_id)
            for account_id, document in self._store.heads.items()
            if document.get("lane") in lanes
            and isinstance(document.get("posted_at"), datetime)
            and (start is None or (document["posted_at"], account_id) > start)
        ]
        stamps = tuple(Stamp(*place) for place in sorted(later)[:limit])
        return Changes(stamps, self._store.server_time() if later else None)


class MemoryLedgerWindows:
    """The windows of a ledger in memory. It keeps no past, so the moment of reading is always now."""

    def __init__(self, store: MemoryLedgerStore) -> None:
        self._store = store
        self.settled_until: dict[int, datetime] = {}

    async def horizons(self) -> Horizons:
        return Horizons(dict(self.settled_until), self._store.server_time())

    async def put_horizon(self, band: int, settled_until: datetime) -> None:
        self.settled_until[band] = settled_until

    async def first_committed_at(self, band: int, since: datetime | None) -> datetime | None:
        ordered = self._ordered(band, since, None)
        return ordered[0][0] if ordered else None

    async def entries_between(
        self, band: int, since: datetime | None, before: datetime | None
    ) -> AsyncIterator[tuple[EntryRef, Document]]:
        for _, ref in self._ordered(band, since, before):
            yield ref, copied(self._store.entries[ref])

    async def entries_beyond(self, horizons: Horizons) -> AsyncIterator[tuple[EntryRef, Document]]:
        for band in range(BANDS):
            async for found in self.entries_between(band, horizons.settled_until.get(band), None):
                yield found

    async def existing(self, refs: Sequence[EntryRef], *, read_at: datetime) -> frozenset[EntryRef]:
        return frozenset(ref for ref in refs if ref in self._store.entries)

    def _ordered(self, band: int, since: datetime | None, before: datetime | None) -> list[tuple[datetime, EntryRef]]:
        lanes = lanes_of(band)
        return sorted(
            [
                (document["committed_at"], ref)
                for ref, document in self._store.entries.items()
                if document.get("lane") in lanes
                and (since is None or document["committed_at"] >= since)
                and (before is None or document["committed_at"] < before)
            ]
        )


class MemoryAuditMarks:
    """The audit's notes in memory."""

    def __init__(self) -> None:
        self.marks: dict[AccountId, Mark] = {}
        self.stamps: dict[int, Stamp] = {}
        self.alarms: dict[AccountId, Alarm] = {}

    async def mark(self, account_id: AccountId) -> Mark:
        return self.marks.get(account_id, START)

    async def marks_of(self, account_ids: Sequence[AccountId]) -> Mapping[AccountId, Mark]:
        return {account_id: await self.mark(account_id) for account_id in account_ids}

    async def put_mark(self, account_id: AccountId, mark: Mark) -> None:
        self.marks[account_id] = mark

    async def cursors(self, bands: int) -> Mapping[int, Stamp]:
        return {band: stamp for band, stamp in self.stamps.items() if band < bands}

    async def put_cursor(self, band: int, stamp: Stamp) -> None:
        self.stamps[band] = stamp

    async def open_alarms(self, limit: int) -> list[Alarm]:
        return list(self.alarms.values())[:limit]

    async def put_alarm(self, alarm: Alarm) -> None:
        self.alarms[alarm.account_id] = alarm

    async def clear_alarm(self, account_id: AccountId) -> None:
        self.alarms.pop(account_id, None)


def copied(value: Value) -> Value:
    """What a reader gets of a stored value: maps and lists anew, so that nobody's change reaches the store.

    Everything else in a document is immutable, which is why this is several times faster than a deep copy.
    """
    stored: Any = value
    if type(stored) is dict:
        stored = {name: copied(part) for name, part in stored.items()}
    elif type(stored) is list:
        stored = [copied(part) for part in stored]
    copy: Value = stored
    return copy
