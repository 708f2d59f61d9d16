"""Folding the legs of one closed window into one entry per payee: what is folded, how it is proved, how it is posted.

Entries are folded by band (16 lanes, see `documents.py`) and window of server time. A leaf stands for one sale: the
entry's hash and what its legs gave the payee, per origin. Leaves are ordered by entry hash, so whoever folds the same
entries gets the same root, and a payee can be shown that a sale is in it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import ClassVar

from msgspec import Struct

from shared.base.ids import AccountId, EntryId, entry_id_of
from shared.base.merkle import leaf_hash, root_of
from shared.ledger import rules
from shared.ledger.chain import encode
from shared.ledger.models import (
    DEFERRED_CLASSES,
    HOUSE_CLEARING,
    Entry,
    EntryKind,
    Leg,
    LotChange,
    Origin,
    account_class,
)
from shared.ledger.operation import Facts, Heads, Posted, Posting, Step, facts_of, post, present

SALE_TAG = "credence.sale.v1"
WINDOW_S = 300
"""Seconds of one window. Longer windows fold more into one entry, and leave a sale pending for longer."""

Amounts = Mapping[Origin, int]


class Window(Struct, frozen=True, order=True):
    """The entries of one band whose commits the server received in `start_s` up to `start_s + WINDOW_S`."""

    start_s: int
    band: int

    @property
    def starts_at(self) -> datetime:
        return datetime.fromtimestamp(self.start_s, UTC)

    @property
    def ends_at(self) -> datetime:
        return datetime.fromtimestamp(self.start_s + WINDOW_S, UTC)

    def has_ended_by(self, at: datetime) -> bool:
        """Whether the window ends at that moment or before; of a window beyond all dates too."""
        return self.start_s + WINDOW_S <= at.timestamp()


class Folded(Struct, frozen=True):
    """What one window owes one payee."""

    payee: AccountId
    count: int
    amounts: tuple[tuple[Origin, int], ...]
    root: str


class Settle(Posting, frozen=True, kw_only=True):
    """Post what one window owes a deferred account. The other side is house:clearing, which cancels the legs folded."""

    kind: ClassVar[EntryKind] = EntryKind.SETTLE
    window: Window
    folded: Folded

    def idempotency_key(self) -> str:
        return settle_key(self.window)

    def request_fields(self) -> Sequence[str]:
        amounts = (text for origin, amount in self.folded.amounts for text in (origin.value, str(amount)))
        return (str(self.folded.count), self.folded.root, *amounts)

    def apply(self, heads: Heads) -> Step[Posted]:
        # No check of the status: what was sold is owed, whatever became of the account.
        head = present(heads, self.account_id)
        rules.check_deferred(self.account_id)
        changes = [LotChange(origin, None, amount) for origin, amount in self.folded.amounts if amount]
        legs = tuple(Leg(HOUSE_CLEARING, origin, -amount) for origin, amount in self.folded.amounts if amount)
        return post(self, head, changes=changes, legs=legs, facts=settle_facts(self.window, self.folded))


class Fold:
    """Adds up the entries of one window, payee by payee."""

    def __init__(self) -> None:
        self._amounts: dict[AccountId, dict[Origin, int]] = {}
        self._leaves: dict[AccountId, list[tuple[str, bytes]]] = {}

    def add(self, entry: Entry) -> None:
        """Count what the entry owes to each payee."""
        for payee, amounts in owed_by(entry).items():
            sums = self._amounts.setdefault(payee, {})
            for origin, amount in amounts.items():
                sums[origin] = sums.get(origin, 0) + amount
            self._leaves.setdefault(payee, []).append((entry.hash, sale_leaf(entry.hash, amounts)))

    def folded(self) -> list[Folded]:
        """What each payee is owed, in order of their ids."""
        return [
            Folded(
                payee=payee,
                count=len(leaves),
                amounts=tuple(sorted(self._amounts[payee].items())),
                root=root_of([leaf for _, leaf in sorted(leaves)]).hex(),
            )
            for payee, leaves in sorted(self._leaves.items())
        ]


def owed_by(entry: Entry) -> dict[AccountId, dict[Origin, int]]:
    """What the entry's legs owe to deferred accounts, or take from them. A settlement's own legs owe nothing."""
    owed: dict[AccountId, dict[Origin, int]] = {}
    if entry.kind is EntryKind.SETTLE:
        return owed
    for leg in entry.legs:
        if account_class(leg.account_id) in DEFERRED_CLASSES:
            amounts = owed.setdefault(leg.account_id, {})
            amounts[leg.origin] = amounts.get(leg.origin, 0) + leg.amount_micros
    return owed


def sale_leaf(entry_hash: str, amounts: Amounts) -> bytes:
    """The Merkle leaf of one sale to one payee."""
    parts = [text for origin in sorted(amounts) for text in (origin.value, str(amounts[origin]))]
    return leaf_hash(encode([SALE_TAG, entry_hash, *parts]))


def window_of(band: int, committed_at: datetime) -> Window:
    """The window that a commit belongs to."""
    at_s = int(committed_at.timestamp())
    return Window(at_s - at_s % WINDOW_S, band)


def settle_key(window: Window) -> str:
    """The idempotency key of a window's entry; each payee has one on its own account."""
    return f"settle:{window.band}:{window.start_s}"


def settle_id(window: Window) -> EntryId:
    """The id of a window's entry on each payee's account."""
    return entry_id_of(settle_key(window))


def settle_facts(window: Window, folded: Folded) -> Facts:
    """What the entry says it folds."""
    return facts_of(
        {
            "band": window.band,
            "count": folded.count,
            "root": folded.root,
            "window_s": WINDOW_S,
            "start_s": window.start_s,
        }
    )


def unsettled_micros(owed: Iterable[Amounts]) -> int:
    """The sum of what is owed, over all origins."""
    return sum(amount for amounts in owed for amount in amounts.values())
