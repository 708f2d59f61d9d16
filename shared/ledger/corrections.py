"""The operations that put right what was posted: refund, revoke, clawback, expire. Each is one more entry."""

from collections.abc import Sequence
from typing import ClassVar

from shared.base.ids import AccountId
from shared.ledger import rules
from shared.ledger.errors import HoldsOpen, NothingExpired, NotReversible
from shared.ledger.models import HOUSE_BREAKAGE, Entry, EntryKind, Head, Leg, LotChange, Origin
from shared.ledger.operation import Facts, Heads, Posted, Posting, Step, flat, post, present

REFUNDED_KINDS = frozenset({EntryKind.DEBIT, EntryKind.CAPTURE})


class Refund(Posting, frozen=True, kw_only=True):
    """Give back what a debit or capture took, to the lots it came from and from the payees it went to; once."""

    kind: ClassVar[EntryKind] = EntryKind.REFUND
    original: Entry
    facts: Facts

    def idempotency_key(self) -> str:
        return f"refund:{self.original.entry_id}"

    def request_fields(self) -> Sequence[str]:
        return (self.original.hash, *flat(self.facts))

    def apply(self, heads: Heads) -> Step[Posted]:
        head = present(heads, self.account_id)
        if self.original.kind not in REFUNDED_KINDS or self.original.account_id != self.account_id:
            raise NotReversible(self.original.kind)
        rules.check_may_receive(head)
        given = [LotChange(c.origin, c.expires_at_ms, -c.delta_micros) for c in self.original.lots]
        changes = rules.changes_to_add(head.lots, given, at_ms=self.at_ms)
        legs = tuple(Leg(leg.account_id, leg.origin, -leg.amount_micros) for leg in self.original.legs)
        return post(self, head, changes=changes, legs=legs, facts=reversal_facts(self.original, self.facts))


class Revoke(Posting, frozen=True, kw_only=True):
    """Take a grant back, once. Paid credits that are gone are owed; promotional ones that are gone were a gift."""

    kind: ClassVar[EntryKind] = EntryKind.REVOKE
    original: Entry
    facts: Facts

    def idempotency_key(self) -> str:
        return f"revoke:{self.original.entry_id}"

    def request_fields(self) -> Sequence[str]:
        return (self.original.hash, *flat(self.facts))

    def apply(self, heads: Heads) -> Step[Posted]:
        head = present(heads, self.account_id)
        if self.original.kind is not EntryKind.GRANT or self.original.account_id != self.account_id:
            raise NotReversible(self.original.kind)
        (leg,) = self.original.legs
        granted_micros = self.original.delta_micros
        own = [lot for lot in head.lots if lot.origin is leg.origin]
        if leg.origin is Origin.PAID:
            changes = rules.consume_or_owe(own, granted_micros, valid_at_ms=self.at_ms)
        else:
            left_micros = rules.usable_micros(own, self.at_ms)
            changes = rules.consume(own, min(granted_micros, left_micros), valid_at_ms=self.at_ms)
        legs = tuple(Leg(leg.account_id, origin, amount) for origin, amount in rules.by_origin(changes).items())
        return post(self, head, changes=changes, legs=legs, facts=reversal_facts(self.original, self.facts))


class Clawback(Posting, frozen=True, kw_only=True):
    """Take back paid credits whose payment is disputed or was refunded; what is no longer there is owed."""

    kind: ClassVar[EntryKind] = EntryKind.CLAWBACK
    amount_micros: int
    payee: AccountId
    """A deferred account, such as house:disputes."""
    key: str
    facts: Facts

    def idempotency_key(self) -> str:
        return self.key

    def request_fields(self) -> Sequence[str]:
        return (str(self.amount_micros), self.payee, *flat(self.facts))

    def apply(self, heads: Heads) -> Step[Posted]:
        # No check of the status: a frozen or closed account owes like any other.
        head = present(heads, self.account_id)
        rules.check_amount(self.amount_micros)
        rules.check_deferred(self.payee)
        paid = [lot for lot in head.lots if lot.origin is Origin.PAID]
        changes = rules.consume_or_owe(paid, self.amount_micros, valid_at_ms=self.at_ms)
        legs = (Leg(self.payee, Origin.PAID, self.amount_micros),)
        return post(self, head, changes=changes, legs=legs, facts=self.facts)


class Expire(Posting, frozen=True, kw_only=True):
    """Move what expired up to a moment into house:breakage. Waits for holds that may still pay with it."""

    kind: ClassVar[EntryKind] = EntryKind.EXPIRE
    until_ms: int

    def idempotency_key(self) -> str:
        return f"expire:{self.account_id}:{self.until_ms}"

    def request_fields(self) -> Sequence[str]:
        return (str(self.until_ms),)

    def apply(self, heads: Heads) -> Step[Posted]:
        head = present(heads, self.account_id)
        changes = expired_changes(head, min(self.until_ms, self.at_ms))
        if not changes:
            raise NothingExpired
        if any(hold.placed_at_ms < self.until_ms for hold in rules.live_holds(head.holds, self.at_ms).values()):
            raise HoldsOpen
        return post(self, head, changes=changes, legs=breakage_legs(changes), facts=())


def expired_changes(head: Head, until_ms: int) -> list[LotChange]:
    """What takes the lots away that had expired by `until_ms`."""
    return [
        LotChange(lot.origin, lot.expires_at_ms, -lot.remaining_micros)
        for lot in head.lots
        if lot.expires_at_ms is not None and lot.expires_at_ms <= until_ms
    ]


def breakage_legs(changes: Sequence[LotChange]) -> tuple[Leg, ...]:
    """Where expired credits go."""
    return tuple(Leg(HOUSE_BREAKAGE, origin, amount) for origin, amount in rules.by_origin(changes).items())


def reversal_facts(original: Entry, facts: Facts) -> Facts:
    """The facts of a reversal name the entry that it undoes."""
    return tuple(sorted({**dict(facts), "reverses": original.entry_id}.items()))
