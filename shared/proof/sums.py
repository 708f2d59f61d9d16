"""What an epoch record states: how many accounts there are, what they hold, and which legs are still to be settled.

Credits are neither made nor lost when what accounts hold and what is still on its way cancel.
"""

from typing import Any, Protocol

from google.api_core import exceptions as google_errors
from google.cloud import firestore
from msgspec import Struct

from shared.ledger.store import READ_TIMEOUT_S, StoreUnavailable
from shared.ledger.unsettled import count_unsettled
from shared.ledger.windows import LedgerWindows


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
    """The sums in Firestore: one aggregation query, and what is unsettled counted anew at the same moment."""

    def __init__(self, client: firestore.AsyncClient, windows: LedgerWindows) -> None:
        self._client = client
        self._windows = windows

    async def totals(self) -> Totals:
        unsettled = await count_unsettled(self._windows)
        accounts: Any = self._client.collection("accounts")
        query = accounts.count(alias="accounts").sum("balance_micros", alias="balances")
        try:
            # At the moment at which the legs were read, so that a posting in between is in both or in neither.
            rows = await query.get(retry=None, timeout=READ_TIMEOUT_S, read_time=unsettled.read_at)
        except google_errors.GoogleAPICallError as error:
            raise StoreUnavailable from error
        sums = {result.alias: int(result.value) for result in rows[0]}
        return Totals(sums["accounts"], sums["balances"], unsettled.micros)
