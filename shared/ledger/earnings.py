"""What a payee has earned: settled on their account, pending in legs, and which sales a settlement folds."""

from collections.abc import Mapping

from msgspec import Struct

from shared.base.ids import AccountId, EntryId
from shared.ledger.documents import BANDS, Document, band_of
from shared.ledger.errors import EntryAbsent, LedgerUnavailable
from shared.ledger.fold_check import window_settled_by
from shared.ledger.models import Entry, EntryKind, Origin
from shared.ledger.sales import SALES_MAX, Sales
from shared.ledger.settling import Window, owed_by, sale_leaf, settle_id, window_of
from shared.ledger.store import EntryRef, LedgerStore, StoreUnavailable
from shared.ledger.unsettled import committed_at_of
from shared.ledger.verify import entry_of
from shared.ledger.windows import LedgerWindows


class Sale(Struct, frozen=True):
    """One sale to the payee, without a word about who bought."""

    entry_hash: str
    amounts: Mapping[Origin, int]
    leaf: str
    """Its leaf under the settlement's root, in hexadecimal."""


class Earned(Struct, frozen=True):
    """By origin. Only paid-origin earnings can ever be paid out."""

    settled: Mapping[Origin, int]
    pending: Mapping[Origin, int]
    pending_is_whole: bool
    """False when there were more than SALES_MAX pending sales, and `pending` counts those only."""


class Settled(Struct, frozen=True):
    """A settlement and the sales it folds, in the order of its Merkle tree."""

    entry: Entry
    sales: tuple[Sale, ...]
    sales_are_whole: bool
    """False when the window has more than SALES_MAX sales to the payee, and `sales` are the first of them."""


class Earnings:
    """Reads what payees earned. It posts nothing."""

    def __init__(self, store: LedgerStore, windows: LedgerWindows, sales: Sales) -> None:
        self._store = store
        self._windows = windows
        self._sales = sales

    async def of(self, payee: AccountId) -> Earned:
        """Settled and pending, by origin. A payee who never sold anything has earned nothing."""
        try:
            horizons = await self._windows.horizons()
            settled_until = horizons.settled_until
            # A band that was never settled may owe from the very beginning.
            oldest = min(settled_until.values()) if len(settled_until) == BANDS else None
            owed: dict[EntryRef, list[Mapping[Origin, int]]] = {}
            count = 0
            async for ref, document in self._sales.since(payee, oldest, None):
                count += 1
                window = _window_of(ref, document)
                until = settled_until.get(window.band)
                if until is None or not window.has_ended_by(until):
                    sale = owed_by(entry_of(*ref, document)).get(payee, {})
                    owed.setdefault((payee, settle_id(window)), []).append(sale)
            # The head and the settlements from one moment: of a run that is under way, each sale counts on one side.
            seen = await self._store.read([payee], list(owed))
        except StoreUnavailable:
            raise LedgerUnavailable from None
        pending = dict.fromkeys(Origin, 0)
        for amounts in (sale for ref, sales in owed.items() if ref not in seen.entries for sale in sales):
            for origin, amount in amounts.items():
                pending[origin] += amount
        head = seen.heads[payee].head
        settled = dict.fromkeys(Origin, 0)
        for lot in head.lots if head else ():
            settled[lot.origin] += lot.remaining_micros
        return Earned(settled, pending, count <= SALES_MAX)

    async def settlement(self, payee: AccountId, entry_id: EntryId) -> Settled:
        """The sales that one settlement of the payee folds. Raise EntryAbsent."""
        try:
            seen = await self._store.read((), [(payee, entry_id)])
            entry = seen.entries.get((payee, entry_id))
            if entry is None or entry.kind is not EntryKind.SETTLE:
                raise EntryAbsent
            window = window_settled_by(entry)
            sales, count = [], 0
            async for ref, document in self._sales.since(payee, window.starts_at, window.ends_at):
                count += 1
                if _window_of(ref, document) == window:
                    sales.append(_sale(entry_of(*ref, document), payee))
        except StoreUnavailable:
            raise LedgerUnavailable from None
        return Settled(entry, tuple(sorted(sales, key=lambda sale: sale.entry_hash)), count <= SALES_MAX)


def _window_of(ref: EntryRef, document: Document) -> Window:
    return window_of(band_of(ref[0]), committed_at_of(ref, document))


def _sale(entry: Entry, payee: AccountId) -> Sale:
    amounts = owed_by(entry)[payee]
    return Sale(entry.hash, amounts, sale_leaf(entry.hash, amounts).hex())
