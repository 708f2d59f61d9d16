"""The accounts with credits that have expired, behind the index of heads on `lane` and `expires_next_ms`."""

from collections.abc import Sequence
from typing import Protocol

from google.api_core import exceptions as google_errors
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter

from shared.base.ids import AccountId
from shared.ledger.documents import lanes_of
from shared.ledger.store import StoreUnavailable
from shared.ledger.windows import SCAN_TIMEOUT_S


class Lapsed(Protocol):
    """Finds the accounts with credits that have expired."""

    async def expired(self, band: int, at_ms: int, limit: int) -> Sequence[AccountId]:
        """Those of a band, the longest expired first. Raise StoreUnavailable."""


class FirestoreLapsed:
    """Heads name their next expiry, `expires_next_ms`; an index by lane finds those in the past."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def expired(self, band: int, at_ms: int, limit: int) -> Sequence[AccountId]:
        heads = self._client.collection("accounts").where(filter=FieldFilter("lane", "in", list(lanes_of(band))))
        due = heads.where(filter=FieldFilter("expires_next_ms", "<=", at_ms)).order_by("expires_next_ms")
        try:
            found = due.select(["expires_next_ms"]).limit(limit).stream(retry=None, timeout=SCAN_TIMEOUT_S)
            return [AccountId(snapshot.id) async for snapshot in found]
        except google_errors.GoogleAPICallError as error:
            raise StoreUnavailable from error
