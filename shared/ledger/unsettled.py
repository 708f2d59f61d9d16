"""Counts anew what legs owe and no settlement has posted yet: the half of the books that stands on no account."""

from datetime import datetime

from msgspec import Struct

from shared.ledger.documents import Document, band_of
from shared.ledger.errors import ChainBroken
from shared.ledger.settling import Amounts, owed_by, settle_id, unsettled_micros, window_of
from shared.ledger.store import EntryRef
from shared.ledger.verify import entry_of
from shared.ledger.windows import Horizons, LedgerWindows


class Unsettled(Struct, frozen=True):
    """What is owed and not settled, over how many entries, at which moment."""

    micros: int
    entries: int
    read_at: datetime


async def count_unsettled(windows: LedgerWindows, horizons: Horizons) -> Unsettled:
    """Read the entries of all windows that are not settled, as of the moment of the horizons.

    Raise StoreUnavailable or ChainBroken.
    """
    owed: dict[EntryRef, list[Amounts]] = {}
    entries = 0
    async for ref, document in windows.entries_beyond(horizons):
        entries += 1
        window = window_of(band_of(ref[0]), committed_at_of(ref, document))
        for payee, amounts in owed_by(entry_of(*ref, document)).items():
            owed.setdefault((payee, settle_id(window)), []).append(amounts)
    # A run that is under way has posted to some payees of a window whose horizon has not moved yet.
    settled = await windows.existing(list(owed), read_at=horizons.read_at)
    open_amounts = [amounts for ref, listed in owed.items() if ref not in settled for amounts in listed]
    return Unsettled(unsettled_micros(open_amounts), entries, horizons.read_at)


def committed_at_of(ref: EntryRef, document: Document) -> datetime:
    """When the server received the commit of an entry. Raise ChainBroken when the document does not say."""
    committed_at = document.get("committed_at")
    if not isinstance(committed_at, datetime):
        raise ChainBroken("its entry states no time of commit", account_id=ref[0], entry_id=ref[1])
    return committed_at
