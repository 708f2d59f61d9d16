"""What is owed to whom at one moment: unspent credits by origin, and what creators earned.

Nobody's wallet is read. Credits are neither made nor lost in any origin, so what stands on wallets, cards, pools and
escrows is what the house and the creators lack. Their heads are read (a few of the house, one for each creator), and
legs that are not settled yet; the sum of all balances comes from the index that epoch records use.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any, Protocol

from google.api_core import exceptions as google_errors
from google.cloud import firestore
from msgspec import Struct

from shared.base.ids import AccountId
from shared.ledger.documents import band_of
from shared.ledger.errors import LedgerUnavailable
from shared.ledger.models import Origin, account_class
from shared.ledger.settling import owed_by, settle_id, window_of
from shared.ledger.store import READ_TIMEOUT_S, EntryRef, StoreUnavailable
from shared.ledger.unsettled import committed_at_of
from shared.ledger.verify import entry_of
from shared.ledger.windows import LedgerWindows

PAGE_HEADS_MAX = 300
Amounts = dict[str, int]
"""By origin."""


class DeferredHeads(Protocol):
    """Balances of accounts that settlement posts to. All raise StoreUnavailable."""

    def of_class(self, name: str, read_at: datetime | None) -> AsyncIterator[tuple[AccountId, Mapping[Origin, int]]]:
        """Every account of a class and its balance by origin, as of a moment, or now."""

    async def balances_micros(self, read_at: datetime) -> int:
        """The sum over all accounts as of a moment."""


class Liabilities(Struct, frozen=True, kw_only=True):
    """What is owed as of a moment."""

    at_ms: int
    unspent: Amounts
    """On wallets, cards, pools and escrows. What people owe us counts against it."""
    owed_settled: Amounts
    """On creators' accounts."""
    owed_pending: Amounts
    """Sold for creators and not settled yet."""
    drift_micros: int
    """By how much all balances and all that is unsettled do not cancel; anything but zero is a defect or a theft."""


class LedgerSums:
    """Adds up what is owed. Raise LedgerUnavailable or ChainBroken."""

    def __init__(self, windows: LedgerWindows, heads: DeferredHeads) -> None:
        self._windows = windows
        self._heads = heads

    async def liabilities(self) -> Liabilities:
        """As of now. All is read as of one moment, whatever is posted meanwhile."""
        try:
            return await self._liabilities()
        except StoreUnavailable:
            raise LedgerUnavailable from None

    async def _liabilities(self) -> Liabilities:
        horizons = await self._windows.horizons()
        read_at = horizons.read_at
        house, owed = _none(), _none()
        for sums, name in ((house, "house"), (owed, "earn")):
            async for _, balances in self._heads.of_class(name, read_at):
                _add(sums, balances)
        pending: dict[EntryRef, dict[Origin, int]] = {}
        async for ref, document in self._windows.entries_beyond(horizons):
            window = window_of(band_of(ref[0]), committed_at_of(ref, document))
            for payee, amounts in owed_by(entry_of(*ref, document)).items():
                of_window = pending.setdefault((payee, settle_id(window)), {})
                for origin, micros in amounts.items():
                    of_window[origin] = of_window.get(origin, 0) + micros
        # A run that is under way has posted to some payees of a window whose horizon has not moved yet.
        settled = await self._windows.existing(list(pending), read_at=read_at)
        owed_pending, house_pending = _none(), _none()
        for ref, amounts in pending.items():
            if ref not in settled:
                _add(owed_pending if account_class(ref[0]) == "earn" else house_pending, amounts)
        balances_micros = await self._heads.balances_micros(read_at)
        elsewhere = (house, owed, owed_pending, house_pending)
        unspent = {origin: -sum(sums[origin] for sums in elsewhere) for origin in house}
        return Liabilities(
            at_ms=int(read_at.timestamp() * 1000),
            unspent=unspent,
            owed_settled=owed,
            owed_pending=owed_pending,
            drift_micros=balances_micros + sum(owed_pending.values()) + sum(house_pending.values()),
        )


def _none() -> Amounts:
    return {origin.value: 0 for origin in Origin}


def _add(sums: Amounts, amounts: Mapping[Origin, int]) -> None:
    for origin, micros in amounts.items():
        sums[origin.value] += micros


class FirestoreDeferredHeads:
    """The same in Firestore, in the order documents are stored in: no index is needed."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def of_class(
        self, name: str, read_at: datetime | None
    ) -> AsyncIterator[tuple[AccountId, Mapping[Origin, int]]]:
        # Ids of a class begin with its name and a colon; a semicolon is what follows a colon.
        accounts: Any = self._client.collection("accounts")
        query = accounts.order_by("__name__").end_before({"__name__": f"{name};"}).select(["lots"])
        page_query = query.start_at({"__name__": f"{name}:"})
        while True:
            try:
                stream = page_query.limit(PAGE_HEADS_MAX).stream(retry=None, timeout=READ_TIMEOUT_S, read_time=read_at)
                page = [(AccountId(found.id), found.get("lots")) async for found in stream]
            except google_errors.GoogleAPICallError as error:
                raise StoreUnavailable from error
            for account_id, lots in page:
                yield account_id, balances_of(lots)
            if len(page) < PAGE_HEADS_MAX:
                return
            page_query = query.start_after({"__name__": page[-1][0]})

    async def balances_micros(self, read_at: datetime) -> int:
        accounts: Any = self._client.collection("accounts")
        query = accounts.sum("balance_micros", alias="balances")
        try:
            rows = await query.get(retry=None, timeout=READ_TIMEOUT_S, read_time=read_at)
        except google_errors.GoogleAPICallError as error:
            raise StoreUnavailable from error
        return int(rows[0][0].value)


def balances_of(lots: list[dict[str, Any]]) -> dict[Origin, int]:
    """An account's balance by origin, of the lots of its head's document."""
    sums: dict[Origin, int] = {}
    for lot in lots:
        origin = Origin(lot["origin"])
        sums[origin] = sums.get(origin, 0) + int(lot["remaining_micros"])
    return sums
