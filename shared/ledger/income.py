"""What happened to one account lately: its newest entries, by the order of its chain."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from google.api_core import exceptions as google_errors
from google.cloud import firestore

from shared.base.ids import AccountId, EntryId
from shared.ledger.models import Entry
from shared.ledger.store import READ_TIMEOUT_S, StoreUnavailable
from shared.ledger.unsettled import committed_at_of
from shared.ledger.verify import entry_of

PAGE_ENTRIES = 200
INCOME_MAX = 2_000
"""Entries read for one answer: a week of settlements of somebody who sells in every fifth window of five minutes, or
more."""


class FirestoreIncome:
    """Newest entries in Firestore: `accounts/{account}/entries` from the highest `seq` down."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def newest(self, account_id: AccountId) -> Sequence[Entry]:
        """The newest entries, at most PAGE_ENTRIES. Raise StoreUnavailable or ChainBroken."""
        return [_entry(account_id, snapshot) for snapshot in await _page(self._newest(account_id))]

    async def since(self, account_id: AccountId, since: datetime) -> Sequence[Entry] | None:
        """Entries committed since then; None for more than INCOME_MAX. Raise StoreUnavailable or ChainBroken."""
        newest = self._newest(account_id)
        query, found = newest, list[Entry]()
        while len(found) <= INCOME_MAX:
            page = await _page(query)
            for snapshot in page:
                if committed_at_of((account_id, EntryId(snapshot.id)), snapshot.to_dict() or {}) < since:
                    return found
                found.append(_entry(account_id, snapshot))
            if len(page) < PAGE_ENTRIES:
                return found
            query = newest.start_after(page[-1])
        return None

    def _newest(self, account_id: AccountId) -> Any:
        entries = self._client.collection("accounts").document(account_id).collection("entries")
        return entries.order_by("seq", direction=firestore.Query.DESCENDING).limit(PAGE_ENTRIES)


def _entry(account_id: AccountId, snapshot: Any) -> Entry:
    return entry_of(account_id, EntryId(snapshot.id), snapshot.to_dict() or {})


async def _page(query: Any) -> list[Any]:
    try:
        return [snapshot async for snapshot in query.stream(retry=None, timeout=READ_TIMEOUT_S)]
    except google_errors.GoogleAPICallError as error:
        raise StoreUnavailable from error
