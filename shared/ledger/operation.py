"""What an operation is: one pure step from heads to new heads, entries and a result, or a refusal.

The engine may run a step many times, against other heads each time, before one outcome is committed; so a step reads
no clock, draws no random number and touches nothing outside its arguments.
"""

from abc import ABCMeta, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Generic, Protocol, TypeVar

from msgspec import Struct, StructMeta
from msgspec.structs import replace

from shared.base.ids import AccountId, EntryId, HoldId, entry_id_of
from shared.ledger import allowances, rules, shares
from shared.ledger.chain import REQUEST_TAG, digest, seal
from shared.ledger.errors import AccountAbsent, KeyReused
from shared.ledger.models import (
    OWING_KINDS,
    SPENDING_KINDS,
    STATUS_AFTER,
    Book,
    Entry,
    EntryKind,
    Head,
    Leg,
    Lot,
    LotChange,
)

Heads = Mapping[AccountId, Head | None]
Entries = Mapping[tuple[AccountId, EntryId], Entry]
Facts = tuple[tuple[str, str], ...]
Result_co = TypeVar("Result_co", covariant=True)


class Posted(Struct, frozen=True):
    """The outcome of a posting: its entry, freshly written or remembered."""

    entry: Entry
    repeated: bool = False


class Step(Struct, Generic[Result_co], frozen=True):
    """What one operation changes, and what it answers once that is durable."""

    heads: tuple[Head, ...]
    entries: tuple[Entry, ...]
    result: Result_co


class Operation(Protocol[Result_co]):
    """One change to one or two accounts."""

    @property
    def account_ids(self) -> tuple[AccountId, ...]:
        """The accounts it changes."""

    @property
    def entry_id(self) -> EntryId | None:
        """The entry that proves it was done, under the first account; absent for operations that post nothing."""

    def apply(self, heads: Heads) -> Step[Result_co]:
        """The change, or a refusal raised."""

    def recall(self, heads: Heads, entries: Entries) -> Result_co | None:
        """The remembered result if the operation was already done, else None. Raise KeyReused for another request."""


class _PostingMeta(StructMeta, ABCMeta):
    """A struct that can leave methods to its subclasses."""


class Posting(Struct, frozen=True, kw_only=True, metaclass=_PostingMeta):
    """What all operations that post entries share: identity by key, and recall by request hash."""

    kind: ClassVar[EntryKind]
    account_id: AccountId
    at_ms: int

    @property
    def account_ids(self) -> tuple[AccountId, ...]:
        return (self.account_id,)

    @property
    def entry_id(self) -> EntryId:
        return entry_id_of(self.idempotency_key())

    @property
    def request_hash(self) -> str:
        return digest(REQUEST_TAG, [self.kind.value, self.account_id, *self.request_fields()])

    @abstractmethod
    def idempotency_key(self) -> str:
        """What makes a repeat a repeat. Unique within each account that the posting writes to."""

    @abstractmethod
    def request_fields(self) -> Sequence[str]:
        """All that makes two requests the same, the time of asking left out."""

    def recall(self, heads: Heads, entries: Entries) -> Posted | None:
        entry = entries.get((self.account_id, self.entry_id))
        if entry is None:
            return None
        if entry.request_hash != self.request_hash:
            raise KeyReused
        return Posted(entry, repeated=True)


class HeadOnly(Struct, frozen=True):
    """What operations share that write a head and leave no entry: only the head itself tells whether they were done."""

    account_id: AccountId

    @property
    def account_ids(self) -> tuple[AccountId, ...]:
        return (self.account_id,)

    @property
    def entry_id(self) -> None:
        return None


def facts_of(values: Mapping[str, str | int]) -> Facts:
    """Facts of a receipt in the one order in which they are hashed."""
    return tuple(sorted((name, str(value)) for name, value in values.items()))


def flat(facts: Facts) -> list[str]:
    """Facts as they are hashed."""
    return [text for fact in facts for text in fact]


def present(heads: Heads, account_id: AccountId) -> Head:
    """The head of an account that must exist; raise AccountAbsent."""
    head = heads[account_id]
    if head is None:
        raise AccountAbsent
    return head


def post(
    posting: Posting,
    head: Head,
    *,
    changes: Sequence[LotChange],
    legs: tuple[Leg, ...],
    facts: Facts,
    hold_id: HoldId | None = None,
    kind: EntryKind | None = None,
    book: Book | None = None,
) -> Step[Posted]:
    """Append one entry to the account of `head` and move the head onto it.

    `kind` is for the other side of a posting, where it is not the posting's own; `book` is that of a pool after it,
    and the entry's facts say what changed in it. Raise StakesOnly for what moves a pool's credits without one, and
    ArithmeticError for legs that do not cancel the changes: nothing that makes or loses credits is ever written.
    """
    _check_cancels(changes, legs)
    kind = kind or posting.kind
    delta_micros = sum(change.delta_micros for change in changes)
    lots = rules.apply_changes(head.lots, changes, may_owe=kind in OWING_KINDS)
    if head.book is not None:
        book = shares.without_expired(head.book, changes, posting.at_ms) if book is None else book
        facts = _with_shares(facts, head.book, book, lots)
    entry = seal(
        Entry(
            account_id=head.account_id,
            entry_id=posting.entry_id,
            seq=head.seq + 1,
            prev_hash=head.hash,
            kind=kind,
            delta_micros=delta_micros,
            balance_micros=sum(lot.remaining_micros for lot in lots),
            lots=tuple(changes),
            legs=legs,
            hold_id=hold_id,
            request_hash=posting.request_hash,
            facts=facts,
            at_ms=posting.at_ms,
        )
    )
    spent_micros = -delta_micros if kind in SPENDING_KINDS else 0
    after = replace(
        head,
        seq=entry.seq,
        hash=entry.hash,
        lots=lots,
        spent_micros=head.spent_micros + spent_micros,
        holds=rules.live_holds(head.holds, posting.at_ms),
        status=STATUS_AFTER.get(kind, head.status),
        allowance=allowances.count_spent(head.allowance, spent_micros, posting.at_ms),
        book=book,
    )
    return Step((after,), (entry,), Posted(entry))


def _check_cancels(changes: Sequence[LotChange], legs: Sequence[Leg]) -> None:
    """Raise ArithmeticError unless the legs take what the changes give, and the other way round, of each origin."""
    taken = rules.by_origin(changes)
    for leg in legs:
        taken[leg.origin] = taken.get(leg.origin, 0) - leg.amount_micros
    if any(taken.values()):
        raise ArithmeticError("an entry would make or lose credits")


def _with_shares(facts: Facts, before: Book, after: Book, lots: tuple[Lot, ...]) -> Facts:
    """The facts, and whose lots the entry changed. Raise ArithmeticError if the lots are not all somebody's."""
    if shares.lots_of(after) != shares.summed(lots):
        raise ArithmeticError("a pool's lots are not those of its members")
    rows = shares.rows_between(before, after)
    return tuple(sorted({**dict(facts), shares.SHARES_FACT: shares.text_of(rows)}.items())) if rows else facts
