"""Calls that contributed keys served and no settlement has folded yet, for owners who watch."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.base.ids import AccountId, EntryId
from shared.ledger.documents import band_of, entry_from
from shared.ledger.errors import ChainBroken
from shared.ledger.settling import window_of
from shared.resources import rules
from shared.resources.store import KeyStore
from shared.resources.windows import WindowStore


class PendingCalls:
    """Told of single entries as they come, at least once and in any order."""

    def __init__(self, store: KeyStore, windows: WindowStore) -> None:
        self._store = store
        self._windows = windows

    async def heard_of(self, account_id: AccountId, entry_id: EntryId, document: Mapping[str, Any]) -> None:
        """Show a call that a contributed key served as pending, unless it was settled before this was heard.

        All other entries are none of its business. Raise ContributionsUnavailable, which brings the event again.
        """
        try:
            entry = entry_from(entry_id, document)
        except ChainBroken:
            return
        key_id = rules.key_served(entry)
        committed_at = document.get("committed_at")
        kept = await self._store.find(key_id) if key_id else None
        if kept is None or entry.account_id != account_id or not isinstance(committed_at, datetime):
            return
        use = rules.use_of(entry, kept.key.earn_id)
        window = window_of(band_of(account_id), committed_at)
        if not use.given or await self._windows.earned(kept.key.id, window) is not None:
            return
        await self._windows.put_pending(kept.key, use, entry.at_ms)
        if await self._windows.earned(kept.key.id, window) is not None:
            # Settlement dropped what was pending just before this was.
            await self._windows.drop_pending(kept.key.id, [entry_id])
