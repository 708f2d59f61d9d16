"""The operations on pools: seat members, put in, take out, draw for a card, take its rest back, close.

Each decides by the heads as they stand in the commit that it makes, so nobody takes more than is theirs or their limit
allows, however many try at once.
"""

from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct
from msgspec.structs import replace

from shared.base.ids import AccountId, UserId
from shared.ledger import rules, shares
from shared.ledger.errors import CreditTooLow, NothingToMove
from shared.ledger.models import (
    Book,
    Entry,
    EntryKind,
    Head,
    Leg,
    LotChange,
    Origin,
    SendLimits,
    SpendLimit,
    Stake,
)
from shared.ledger.operation import Entries, Facts, Heads, Posted, Posting, Step, flat, post, present
from shared.ledger.pool_errors import DrawUnseen, PoolEnding, PoolFull, StakesOnly
from shared.ledger.postings import move
from shared.ledger.standing import Close


class Seated(Struct, frozen=True):
    """The outcome of seating somebody, or of changing their limit."""

    stake: Stake


class Ended(Struct, frozen=True):
    """The outcome of beginning to close a pool."""

    book: Book


def book_of(head: Head) -> Book:
    """The book of a pool. Raise StakesOnly for any other account."""
    if head.book is None:
        raise StakesOnly
    return head.book


class Seat(Struct, frozen=True):
    """Make somebody a member. Writes the head only. Raise PoolFull or PoolEnding."""

    account_id: AccountId
    user_id: UserId
    limit: SpendLimit | None
    """On what they draw of the others' credits."""
    members_max: int
    at_ms: int
    relimit: bool = False
    """Change the limit of who is a member already; otherwise theirs stays, or joining again would lift it."""

    @property
    def account_ids(self) -> tuple[AccountId, ...]:
        return (self.account_id,)

    @property
    def entry_id(self) -> None:
        return None

    def apply(self, heads: Heads) -> Step[Seated]:
        head = present(heads, self.account_id)
        book = book_of(head)
        if book.closing:
            raise PoolEnding
        stake = shares.stake_of(book, self.user_id) or Stake(self.user_id, seated=False)
        if stake.seated and not self.relimit:
            return Step((), (), Seated(stake))
        seats = sum(one.seated for one in book.stakes)
        if not stake.seated and (seats >= self.members_max or len(book.stakes) >= shares.STAKES_MAX):
            raise PoolFull
        # Whoever comes back is counted on from where they were.
        stake = replace(stake, seated=True, allowance=replace(stake.allowance, limit=self.limit))
        after = replace(head, book=shares.with_stake(book, stake, self.at_ms))
        return Step((after,), (), Seated(stake))

    def recall(self, heads: Heads, entries: Entries) -> Seated | None:
        head = heads.get(self.account_id)
        stake = shares.stake_of(head.book, self.user_id) if head and head.book else None
        if stake is None or not stake.seated or (self.relimit and stake.allowance.limit != self.limit):
            return None
        return Seated(stake)


class EndPool(Struct, frozen=True):
    """Take everybody's seat, so that nothing more is put in or drawn. Writes the head only."""

    account_id: AccountId

    @property
    def account_ids(self) -> tuple[AccountId, ...]:
        return (self.account_id,)

    @property
    def entry_id(self) -> None:
        return None

    def apply(self, heads: Heads) -> Step[Ended]:
        head = present(heads, self.account_id)
        book = book_of(head)
        stakes = tuple([replace(stake, seated=False) for stake in book.stakes])
        ended = replace(book, stakes=stakes, closing=True)
        return Step((replace(head, book=ended),), (), Ended(ended))

    def recall(self, heads: Heads, entries: Entries) -> Ended | None:
        head = heads.get(self.account_id)
        return Ended(head.book) if head and head.book and head.book.closing else None


class _Between(Posting, frozen=True, kw_only=True):
    """What a pool's posting and its other side share."""

    kind: ClassVar[EntryKind] = EntryKind.TRANSFER
    payee_id: AccountId
    user_id: UserId
    key: str
    facts: Facts

    def idempotency_key(self) -> str:
        return self.key

    @property
    def account_ids(self) -> tuple[AccountId, ...]:
        return (self.account_id, self.payee_id)

    def parties(self, heads: Heads) -> tuple[Head, Head]:
        """Who gives and who gets, both allowed to. Raise AccountAbsent or AccountNotOpen."""
        payer, payee = present(heads, self.account_id), present(heads, self.payee_id)
        rules.check_may_spend(payer)
        rules.check_may_receive(payee)
        return payer, payee


class Contribute(_Between, frozen=True, kw_only=True):
    """Move a member's credits from their wallet into a pool, as their stake; within what they may send in a day.

    Raise StakeAbsent, CreditTooLow or SendLimitExceeded.
    """

    amount_micros: int
    origin: Origin | None
    """Only credits of this origin; None for all, promotional ones first."""
    limits: SendLimits

    def request_fields(self) -> Sequence[str]:
        return (self.payee_id, self.user_id, str(self.amount_micros), self.origin or "", *flat(self.facts))

    def apply(self, heads: Heads) -> Step[Posted]:
        rules.check_amount(self.amount_micros)
        payer, payee = self.parties(heads)
        book = book_of(payee)
        shares.seated(book, self.user_id)
        rules.check_covers(payer, self.amount_micros, self.at_ms)
        # Others may spend what is put in, so a stolen sign-in must not empty a wallet this way either.
        sending = rules.count_sent(payer.sending, self.payee_id, self.amount_micros, self.at_ms, self.limits)
        lots = [lot for lot in payer.lots if self.origin in (None, lot.origin)]
        taken = rules.consume(lots, self.amount_micros, valid_at_ms=self.at_ms)
        given = [replace(change, delta_micros=-change.delta_micros) for change in taken]
        after = shares.contribute(book, self.user_id, given, self.at_ms)
        return move(self, replace(payer, sending=sending), payee, taken, self.facts, payee_book=after)


class TakeOut(_Between, frozen=True, kw_only=True):
    """Move what is a person's own from a pool into their wallet. Raise StakeAbsent or CreditTooLow."""

    amount_micros: int

    def request_fields(self) -> Sequence[str]:
        return (self.payee_id, self.user_id, str(self.amount_micros), *flat(self.facts))

    def apply(self, heads: Heads) -> Step[Posted]:
        rules.check_amount(self.amount_micros)
        pool, wallet = self.parties(heads)
        after, taken = shares.withdraw(book_of(pool), self.user_id, self.amount_micros, self.at_ms)
        return move(self, pool, wallet, taken, self.facts, payer_book=after)


class Leave(_Between, frozen=True, kw_only=True):
    """Take a person's seat and move all that is theirs into their wallet. Without anything of theirs no entry is made.

    Raise NothingToMove when there is neither a seat nor anything.
    """

    def request_fields(self) -> Sequence[str]:
        return (self.payee_id, self.user_id, *flat(self.facts))

    def apply(self, heads: Heads) -> Step[Posted | None]:
        pool, wallet = present(heads, self.account_id), present(heads, self.payee_id)
        book = book_of(pool)
        stake = shares.stake_of(book, self.user_id)
        own = shares.own_micros(stake, self.at_ms) if stake else 0
        if stake is None or not (own or stake.seated):
            raise NothingToMove
        unseated = shares.with_stake(book, replace(stake, seated=False), self.at_ms)
        if not own:
            return Step((replace(pool, book=unseated),), (), None)
        self.parties(heads)
        after, taken = shares.withdraw(unseated, self.user_id, own, self.at_ms)
        step = move(self, pool, wallet, taken, self.facts, payer_book=after)
        return Step(step.heads, step.entries, step.result)


class Draw(_Between, frozen=True, kw_only=True):
    """Move credits of a pool onto a member's card. Raise StakeAbsent, CreditTooLow or SpendLimitReached."""

    amount_micros: int

    def request_fields(self) -> Sequence[str]:
        return (self.payee_id, self.user_id, str(self.amount_micros), *flat(self.facts))

    def apply(self, heads: Heads) -> Step[Posted]:
        rules.check_amount(self.amount_micros)
        pool, card = self.parties(heads)
        if card.lots:
            # A card whose credits come from one place only can give them back there.
            raise CreditTooLow(needed_micros=self.amount_micros, spendable_micros=0)
        after, taken = shares.draw(book_of(pool), self.user_id, self.amount_micros, self.at_ms)
        return move(self, pool, card, taken, self.facts, payer_book=after)


class GiveBack(Close, frozen=True, kw_only=True):
    """Close a card that drew from a pool, and give each member back what is left of theirs. `rest_to` is the pool."""

    user_id: UserId
    drawn: Entry | None
    """The pool's entry of the draw; None where none was found, and then there must be nothing on the card. Not part of
    the request, for it follows from the card."""

    def request_fields(self) -> Sequence[str]:
        return (self.rest_to, self.user_id, *flat(self.facts))

    def apply(self, heads: Heads) -> Step[Posted]:
        pool = present(heads, self.rest_to)
        if self.drawn is None:
            if present(heads, self.account_id).seq > 1:
                raise DrawUnseen
            return super().apply(heads)
        step = super().apply(heads)
        if len(step.heads) > 1:
            return step
        # Nothing is left, or all of it has expired; the draw is over all the same.
        after = replace(pool, book=self._book_after(pool, self.drawn, ()))
        return Step((*step.heads, after), step.entries, step.result)

    def receive(self, head: Head, rest: Sequence[LotChange], given: Sequence[Leg]) -> Step[Posted]:
        if self.drawn is None:
            raise DrawUnseen
        rules.check_may_receive(head)
        added = [replace(change, delta_micros=-change.delta_micros) for change in rest]
        changes = rules.changes_to_add(head.lots, added, at_ms=self.at_ms)
        book = self._book_after(head, self.drawn, added)
        return post(
            self,
            head,
            changes=changes,
            legs=tuple(Leg(self.account_id, leg.origin, -leg.amount_micros) for leg in given),
            facts=self.facts,
            kind=EntryKind.TRANSFER,
            book=shares.follow_merges(book, changes[len(added) :], self.at_ms),
        )

    def _book_after(self, head: Head, drawn: Entry, rest: Sequence[LotChange]) -> Book:
        rows = shares.rows_from(dict(drawn.facts))
        return shares.give_back(book_of(head), self.user_id, rows, drawn.at_ms, rest, self.at_ms)
