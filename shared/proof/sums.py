"""What an epoch record states: how many accounts there are, what they hold, and which legs are still to be settled.

Credits are neither made nor lost when what accounts hold and what is still on its way cancel.
"""

from datetime import datetime
from typing import Any, Protocol

from google.api_core import exceptions as google_errors
from google.cloud import firestore
from msgspec import Struct

from shared.base.together import both
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
        horizons = await self._windows.horizons()
        # Both at the moment of the horizons, so that a posting in between is in both or in neither.
        unsettled, sums = await both(count_unsettled(self._windows, horizons), self._sums_at(horizons.read_at))
        return Totals(sums["accounts"], sums["balances"], unsettled.micros)

    async def _sums_at(self, read_at: datetime) -> dict[str, int]:
        accounts: Any = self._client.collection("accounts")
        query = accounts.count(alias="accounts").sum("balance_micros", alias="balances")
        try:
            rows = await query.get(retry=None, timeout=READ_TIMEOUT_S, read_time=read_at)
        except google_errors.GoogleAPICallError as error:
            raise StoreUnavailable from error
        return {result.alias: int(result.value) for result in rows[0]}
