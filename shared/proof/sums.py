"""What an epoch record states: how many accounts there are, what they hold, and which legs are still to be settled.

Credits are neither made nor lost when what accounts hold and what is still on its way cancel.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from google.api_core import exceptions as google_errors
from google.cloud import firestore
from msgspec import Struct

from shared.ledger.models import EntryKind
from shared.ledger.store import READ_TIMEOUT_S, StoreUnavailable

PAGE_ENTRIES_MAX = 1_000
"""Entries of one read; only their kind and legs are asked for, about 200 bytes each."""


class Totals(Struct, frozen=True):
    """The sums over the whole ledger as of one moment."""

    accounts: int
    balances_micros: int
    unsettled_micros: int

    @property
    def drift_micros(self) -> int:
        """By how much credits were made (positive) or lost; anything but zero is a defect or a theft."""
        return self.balances_micros + self.unsettled_micros


class EpochSums(Protocol):
    """Adds up the ledger."""

    async def totals(self) -> Totals:
        """The sums as of one moment, whatever is posted meanwhile. Raise StoreUnavailable."""


class FirestoreEpochSums:
    """The sums in Firestore: one aggregation query, and every entry read at the same moment."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def totals(self) -> Totals:
        accounts: Any = self._client.collection("accounts")
        query = accounts.count(alias="accounts").sum("balance_micros", alias="balances")
        try:
            rows = await query.get(retry=None, timeout=READ_TIMEOUT_S)
            sums = {result.alias: result for result in rows[0]}
            # Entries are read at the moment of the sum, so that a posting in between is in both or in neither.
            read_at = sums["accounts"].read_time
            unsettled = 0
            async for document in self._entries(read_at):
                unsettled += unsettled_in(document)
        except google_errors.GoogleAPICallError as error:
            raise StoreUnavailable from error
        return Totals(int(sums["accounts"].value), int(sums["balances"].value), unsettled)

    async def _entries(self, read_at: Any) -> AsyncIterator[Mapping[str, Any]]:
        query = self._client.collection_group("entries").select(["kind", "legs"]).limit(PAGE_ENTRIES_MAX)
        page_query = query
        while True:
            # The timeout is of one page, however many there are.
            stream = page_query.stream(retry=None, timeout=READ_TIMEOUT_S, read_time=read_at)
            page = [snapshot async for snapshot in stream]
            for snapshot in page:
                yield snapshot.to_dict() or {}
            if len(page) < PAGE_ENTRIES_MAX:
                return
            page_query = query.start_after(page[-1])


def unsettled_in(document: Mapping[str, Any]) -> int:
    """What an entry's document leaves to be settled. A transfer has posted both of its sides."""
    if document["kind"] == EntryKind.TRANSFER.value:
        return 0
    return sum(int(leg["amount_micros"]) for leg in document["legs"])
