"""The entries that owe something to one payee, in the order of the server's time.

Path: the collection group `entries` behind its index on `payees` and `committed_at`.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Protocol

from google.api_core import exceptions as google_errors
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter

from shared.base.ids import AccountId, EntryId
from shared.ledger.documents import Document
from shared.ledger.store import READ_TIMEOUT_S, EntryRef, StoreUnavailable

SALES_MAX = 5_000
"""Sales read for one answer. Beyond it the answer says that there are more."""


class Sales(Protocol):
    """Entries that owe something to one payee."""

    def since(
        self, payee: AccountId, since: datetime | None, before: datetime | None
    ) -> AsyncIterator[tuple[EntryRef, Document]]:
        """In order of commit. Raise StoreUnavailable."""


class FirestoreSales:
    """Sales in Firestore: the index on `payees` and `committed_at`."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def since(
        self, payee: AccountId, since: datetime | None, before: datetime | None
    ) -> AsyncIterator[tuple[EntryRef, Document]]:
        query = self._client.collection_group("entries").where(filter=FieldFilter("payees", "array_contains", payee))
        if since is not None:
            query = query.where(filter=FieldFilter("committed_at", ">=", since))
        if before is not None:
            query = query.where(filter=FieldFilter("committed_at", "<", before))
        ordered = query.order_by("committed_at").limit(SALES_MAX + 1)
        try:
            async for snapshot in ordered.stream(retry=None, timeout=READ_TIMEOUT_S):
                ref = (AccountId(snapshot.reference.parent.parent.id), EntryId(snapshot.id))
                yield ref, snapshot.to_dict() or {}
        except google_errors.GoogleAPICallError as error:
            raise StoreUnavailable from error
