"""The store's model in memory: the same promises as Firestore's, for rules, engine tests and simulation.

It keeps documents, not values, so that conversion is exercised and a test can tamper with what is stored.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from shared.base.ids import AccountId
from shared.ledger.documents import entry_document, entry_from, head_document, head_from
from shared.ledger.models import Entry
from shared.ledger.store import CommitFailed, EntryRef, HeadWrite, KnownHead, Snapshot, Version


class MemoryLedgerStore:
    """All accounts of a ledger, in dictionaries. One event loop only."""

    def __init__(self) -> None:
        self.heads: dict[AccountId, dict[str, Any]] = {}
        self.entries: dict[EntryRef, dict[str, Any]] = {}
        self._versions: dict[AccountId, Version] = {}
        self._clock = 0

    async def read(self, account_ids: Sequence[AccountId], entry_refs: Sequence[EntryRef]) -> Snapshot:
        heads = {account_id: self._known(account_id) for account_id in account_ids}
        entries = {ref: entry_from(ref[1], self.entries[ref]) for ref in entry_refs if ref in self.entries}
        return Snapshot(heads, entries)

    async def commit(self, heads: Sequence[HeadWrite], entries: Sequence[Entry]) -> Mapping[AccountId, Version]:
        refs = [(entry.account_id, entry.entry_id) for entry in entries]
        stale = any(self._versions.get(w.head.account_id) != w.expected for w in heads)
        if stale or len(set(refs)) < len(refs) or any(ref in self.entries for ref in refs):
            raise CommitFailed
        self._clock += 1
        for write in heads:
            self.heads[write.head.account_id] = copy.deepcopy(head_document(write.head))
            self._versions[write.head.account_id] = Version(self._clock)
        for ref, entry in zip(refs, entries, strict=True):
            self.entries[ref] = copy.deepcopy(entry_document(entry))
        return {write.head.account_id: Version(self._clock) for write in heads}

    def _known(self, account_id: AccountId) -> KnownHead:
        if account_id not in self.heads:
            return KnownHead(None, None)
        head = head_from(account_id, self.heads[account_id])
        return KnownHead(head, Version(self._versions[account_id]))
