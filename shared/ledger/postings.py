"""The operations that post entries: open, grant, debit, capture, transfer."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from msgspec.structs import replace

from shared.base.ids import AccountId, HoldId
from shared.ledger import rules, shares
from shared.ledger.errors import HoldAbsent, KeyReused, TransferToSelf
from shared.ledger.holds import capture_key
from shared.ledger.models import Allowance, Book, EntryKind, Head, Hold, Leg, LotChange, Origin, SendLimits, Share
from shared.ledger.operation import Facts, Heads, Posted, Posting, Step, facts_of, flat, post, present


class OpenAccount(Posting, frozen=True, kw_only=True):
    """Open an account with nothing on it. Its entry is the first link of the account's chain."""

    kind: ClassVar[EntryKind] = EntryKind.OPEN
    allowance: Allowance | None = None
    """Not part of the request: it may be changed, and whoever opens the account again changes nothing."""
    book: Book | None = None
    """For a pool: an empty one."""

    def idempotency_key(self) -> str:
        return f"open:{self.account_id}"

    def request_fields(self) -> Sequence[str]:
        return ()

    def apply(self, heads: Heads) -> Step[Posted]:
        if heads[self.account_id] is not None:
            # Only a stale view can show a head without its first entry; the engine will reread and find it.
            raise KeyReused
        opened = Head(self.account_id, allowance=self.allowance, book=self.book)
        return post(self, opened, changes=(), legs=(), facts=())


class Grant(Posting, frozen=True, kw_only=True):
    """Add credits that come out of a deferred account: a bonus, a purchase."""

    kind: ClassVar[EntryKind] = EntryKind.GRANT
    amount_micros: int
    origin: Origin
    expires_at_ms: int | None
    source: AccountId
    key: str
    facts: Facts

    def idempotency_key(self) -> str:
        return self.key

    def request_fields(self) -> Sequence[str]:
        # The expiry is left out: it follows from when the request was first made, which a repeat cannot know.
        return (str(self.amount_micros), self.origin.value, self.source, *flat(self.facts))

    def apply(self, heads: Heads) -> Step[Posted]:
        head = present(heads, self.account_id)
        rules.check_amount(self.amount_micros)
        rules.check_may_receive(head)
        added = [LotChange(self.origin, self.expires_at_ms, self.amount_micros)]
        changes = rules.changes_to_add(head.lots, added, at_ms=self.at_ms)
        legs = (Leg(self.source, self.origin, -self.amount_micros),)
        return post(self, head, changes=changes, legs=legs, facts=self.facts)


def paid_grant(
    account_id: AccountId,
    amount_micros: int,
    *,
    source: AccountId,
    key: str,
    facts: Mapping[str, str | int],
    at_ms: int,
) -> Grant:
    """Credits that were paid for: they never expire, whether they come for the first time or are given back."""
    return Grant(
        account_id=account_id,
        amount_micros=amount_micros,
        origin=Origin.PAID,
        expires_at_ms=None,
        source=source,
        key=key,
        facts=facts_of(facts),
        at_ms=at_ms,
    )


class Debit(Posting, frozen=True, kw_only=True):
    """Charge for work already done, split among payees."""

    kind: ClassVar[EntryKind] = EntryKind.DEBIT
    amount_micros: int
    shares: tuple[Share, ...]
    key: str
    facts: Facts

    def idempotency_key(self) -> str:
        return self.key

    def request_fields(self) -> Sequence[str]:
        return (str(self.amount_micros), *_share_fields(self.shares), *flat(self.facts))

    def apply(self, heads: Heads) -> Step[Posted]:
        head = present(heads, self.account_id)
        rules.check_amount(self.amount_micros)
        rules.check_may_spend(head)
        rules.check_covers(head, self.amount_micros, self.at_ms)
        changes = rules.consume(head.lots, self.amount_micros, valid_at_ms=self.at_ms)
        legs = rules.legs_of(changes, self.shares)
        return post(self, head, changes=changes, legs=legs, facts=self.facts)


class Capture(Posting, frozen=True, kw_only=True):
    """Take at most what a hold set aside, split among payees, and resolve the hold.

    Once the hold is gone a `late` one still charges for what was delivered under it, into debt if need be.
    """

    kind: ClassVar[EntryKind] = EntryKind.CAPTURE
    hold_id: HoldId
    amount_micros: int
    shares: tuple[Share, ...]
    facts: Facts
    late: bool = False
    """Not part of the request: a late capture is the one that was meant to be in time."""

    def idempotency_key(self) -> str:
        return capture_key(self.hold_id)

    def request_fields(self) -> Sequence[str]:
        return (str(self.amount_micros), *_share_fields(self.shares), *flat(self.facts))

    def apply(self, heads: Heads) -> Step[Posted]:
        # No check of the status: credits held before a freeze were promised to the provider who has since delivered.
        head, hold = self._without_hold(present(heads, self.account_id))
        rules.check_amount(self.amount_micros)
        if hold:
            rules.check_within_hold(hold, self.amount_micros)
        # What pays must have been alive when it was promised.
        valid_at_ms = hold.placed_at_ms if hold else self.at_ms
        changes = rules.consume_or_owe(head.lots, self.amount_micros, valid_at_ms=valid_at_ms)
        legs = rules.legs_of(changes, self.shares)
        return post(self, head, changes=changes, legs=legs, facts=self.facts, hold_id=self.hold_id)

    def _without_hold(self, head: Head) -> tuple[Head, Hold | None]:
        """The head with the hold resolved, and the hold: a late capture does without."""
        try:
            return rules.take_hold(head, self.hold_id, self.at_ms)
        except HoldAbsent:
            if self.late:
                return head, None
            raise


class Transfer(Posting, frozen=True, kw_only=True):
    """Move credits between two immediate accounts, lot by lot, in one commit; both entries bear the same id."""

    kind: ClassVar[EntryKind] = EntryKind.TRANSFER
    payee_id: AccountId
    amount_micros: int
    key: str
    facts: Facts
    limits: SendLimits | None = None
    """For what one person sends another: then only paid credits go, as many as a day allows, and no repeat unasked."""
    repeat_confirmed: bool = False
    """Not part of the request: it is the same transfer, with a word more."""

    def idempotency_key(self) -> str:
        return self.key

    @property
    def account_ids(self) -> tuple[AccountId, ...]:
        return (self.account_id, self.payee_id)

    def request_fields(self) -> Sequence[str]:
        return (self.payee_id, str(self.amount_micros), *flat(self.facts))

    def apply(self, heads: Heads) -> Step[Posted]:
        if self.account_id == self.payee_id:
            raise TransferToSelf
        payer, payee = present(heads, self.account_id), present(heads, self.payee_id)
        rules.check_amount(self.amount_micros)
        rules.check_may_spend(payer)
        rules.check_may_receive(payee)
        if self.limits is None:
            rules.check_covers(payer, self.amount_micros, self.at_ms)
            taken = rules.consume(payer.lots, self.amount_micros, valid_at_ms=self.at_ms)
        else:
            payer = self._count_sent(payer, self.limits)
            rules.check_covers_paid(payer, self.amount_micros, self.at_ms)
            paid = [lot for lot in payer.lots if lot.origin is Origin.PAID]
            taken = rules.consume(paid, self.amount_micros, valid_at_ms=self.at_ms)
        return move(self, payer, payee, taken, self.facts)

    def _count_sent(self, payer: Head, limits: SendLimits) -> Head:
        if not self.repeat_confirmed:
            rules.check_not_repeated(payer.sending, self.payee_id, self.amount_micros, self.at_ms, limits)
        sending = rules.count_sent(payer.sending, self.payee_id, self.amount_micros, self.at_ms, limits)
        return replace(payer, sending=sending)


def move(
    posting: Posting,
    payer: Head,
    payee: Head,
    taken: Sequence[LotChange],
    facts: Facts,
    *,
    payer_book: Book | None = None,
    payee_book: Book | None = None,
) -> Step[Posted]:
    """Give the payee what was taken from the payer's lots, origin and expiry kept; an entry on each side.

    A side that is a pool gets its book as it is after that, but for lots that the head merges.
    """
    given = [replace(change, delta_micros=-change.delta_micros) for change in taken]
    moved = rules.by_origin(taken).items()
    added = rules.changes_to_add(payee.lots, given, at_ms=posting.at_ms)
    if payee_book is not None:
        payee_book = shares.follow_merges(payee_book, added[len(given) :], posting.at_ms)
    sent = post(
        posting,
        payer,
        changes=taken,
        legs=tuple(Leg(payee.account_id, origin, amount) for origin, amount in moved),
        facts=facts,
        book=payer_book,
    )
    received = post(
        posting,
        payee,
        changes=added,
        legs=tuple(Leg(payer.account_id, origin, -amount) for origin, amount in moved),
        facts=facts,
        book=payee_book,
    )
    return Step(sent.heads + received.heads, sent.entries + received.entries, sent.result)


def _share_fields(shares: tuple[Share, ...]) -> list[str]:
    return [str(len(shares)), *(text for s in shares for text in (s.account_id, str(s.weight)))]
