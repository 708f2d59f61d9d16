"""Checks settlements against the entries they say they fold, while a whole ledger is walked.

This is also what makes the server's time of a commit count: it stands outside the hash, yet an entry whose time was
changed falls into another window than the one that was settled with it.
"""

from collections.abc import Mapping
from datetime import datetime

from shared.base.ids import AccountId
from shared.ledger.documents import Document, band_of
from shared.ledger.errors import ChainBroken
from shared.ledger.legs import broken_at
from shared.ledger.models import Entry, EntryKind
from shared.ledger.settling import Fold, Folded, Window, settle_facts, settle_id, window_of

Horizons = Mapping[int, datetime]


class FoldCheck:
    """Folds every window anew and compares with what was posted for it.

    The accounts of payees must be walked before those of buyers: a settlement that is seen was posted after its window
    had closed, so every sale that it folds is still to come. Then none can be excused, whatever the horizons say.
    """

    def __init__(self, settled_until: Horizons) -> None:
        self._settled_until = settled_until
        self._folds: dict[Window, Fold] = {}
        self._posted: dict[tuple[Window, AccountId], Entry] = {}

    def add(self, entry: Entry, document: Document) -> None:
        """Take in one entry. Raise ChainBroken when it states no time of commit, or settles no window."""
        committed_at = document.get("committed_at")
        if not isinstance(committed_at, datetime):
            raise broken_at(entry, "states no time of commit")
        window = window_of(band_of(entry.account_id), committed_at)
        self._folds.setdefault(window, Fold()).add(entry)
        if entry.kind is EntryKind.SETTLE:
            self._posted[window_settled_by(entry), entry.account_id] = entry

    def faults(self) -> list[ChainBroken]:
        """Every settlement that is missing, or is not what its window folds to."""
        faults = []
        posted = dict(self._posted)
        for window, fold in self._folds.items():
            for folded in fold.folded():
                settled = posted.pop((window, folded.payee), None)
                if settled is None and self._is_settled(window):
                    reason = f"window {window.start_s} of band {window.band} is settled, and its entry is missing"
                    faults.append(ChainBroken(reason, account_id=folded.payee, entry_id=settle_id(window)))
                elif settled is not None and not _is_settled_by(window, folded, settled):
                    faults.append(broken_at(settled, "is not what the entries of its window fold to"))
        faults += [broken_at(entry, "settles a window that owes nothing to its account") for entry in posted.values()]
        return faults

    def _is_settled(self, window: Window) -> bool:
        until = self._settled_until.get(window.band)
        return until is not None and window.has_ended_by(until)


def window_settled_by(entry: Entry) -> Window:
    """The window that a settlement says it folds. Raise ChainBroken when it says none."""
    facts = dict(entry.facts)
    try:
        window = Window(int(facts["start_s"]), int(facts["band"]))
        # A window beyond all dates has no sales, and none could be looked for.
        _ = window.starts_at, window.ends_at
    except (KeyError, ValueError, OverflowError, OSError):
        raise broken_at(entry, "settles no window") from None
    if entry.entry_id != settle_id(window):
        raise broken_at(entry, "settles another window than its id stands for")
    return window


def _is_settled_by(window: Window, folded: Folded, entry: Entry) -> bool:
    moved = {change.origin: change.delta_micros for change in entry.lots}
    owed = {origin: amount for origin, amount in folded.amounts if amount}
    return moved == owed and entry.facts == settle_facts(window, folded)
