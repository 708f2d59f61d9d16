"""The operation that takes earnings off their earner's account, so that nobody spends what is about to be paid out."""

from collections.abc import Sequence
from typing import ClassVar

from shared.base.ids import AccountId
from shared.ledger import rules
from shared.ledger.models import EntryKind, Leg, Origin
from shared.ledger.operation import Facts, Heads, Posted, Posting, Step, flat, post, present


class TakePaid(Posting, frozen=True, kw_only=True):
    """Move exactly an amount of paid credits to a deferred account; promotional ones never go.

    An account whose sales are settled cannot be a side of a transfer: its other side would be settled once more.
    """

    kind: ClassVar[EntryKind] = EntryKind.DEBIT
    payee: AccountId
    amount_micros: int
    key: str
    facts: Facts

    def idempotency_key(self) -> str:
        return self.key

    def request_fields(self) -> Sequence[str]:
        return ("paid", self.payee, str(self.amount_micros), *flat(self.facts))

    def apply(self, heads: Heads) -> Step[Posted]:
        head = present(heads, self.account_id)
        rules.check_amount(self.amount_micros)
        rules.check_may_spend(head)
        rules.check_deferred(self.payee)
        rules.check_covers_paid(head, self.amount_micros, self.at_ms)
        paid = [lot for lot in head.lots if lot.origin is Origin.PAID]
        changes = rules.consume(paid, self.amount_micros, valid_at_ms=self.at_ms)
        legs = (Leg(self.payee, Origin.PAID, self.amount_micros),)
        return post(self, head, changes=changes, legs=legs, facts=self.facts)
