"""The operations on pools: put in, take out, draw for a card, take its rest back.

Each decides by the heads as they stand in the commit that it makes, so nobody takes more than is theirs or their limit
allows, however many try at once.
"""

from collections.abc import Sequence
from typing import ClassVar

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
)
from shared.ledger.operation import Facts, Heads, Posted, Posting, Step, flat, post, present
from shared.ledger.pool_errors import DrawUnseen
from shared.ledger.postings import move
from shared.ledger.seats import book_of
from shared.ledger.standing import Close


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
