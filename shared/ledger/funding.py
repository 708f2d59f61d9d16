"""The operations that keep one account supplied from another: limit what it spends, top it up, take back what is free.

What a top-up or a withdrawal moves is decided by the heads as they stand in the same commit, so neither ever moves too
much, however many run at once.
"""

from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct
from msgspec.structs import replace

from shared.base.ids import AccountId
from shared.ledger import rules
from shared.ledger.errors import AlreadyFilled, CreditTooLow, NothingToMove
from shared.ledger.models import Allowance, EntryKind, SpendLimit
from shared.ledger.operation import Entries, Facts, HeadOnly, Heads, Posted, Posting, Step, flat, present
from shared.ledger.postings import move


class Limited(Struct, frozen=True):
    """The outcome of setting a limit."""

    allowance: Allowance


class SetLimit(HeadOnly, frozen=True):
    """Limit what an account spends from now on; None lifts the limit. Writes the head only."""

    limit: SpendLimit | None

    def apply(self, heads: Heads) -> Step[Limited]:
        head = present(heads, self.account_id)
        allowance = replace(head.allowance or Allowance(), limit=self.limit)
        return Step((replace(head, allowance=allowance),), (), Limited(allowance))

    def recall(self, heads: Heads, entries: Entries) -> Limited | None:
        head = heads.get(self.account_id)
        allowance = head.allowance if head else None
        return Limited(allowance) if allowance and allowance.limit == self.limit else None


class TopUp(Posting, frozen=True, kw_only=True):
    """Raise the payee's credits to `to_micros` from what the account can spend, as far as that goes; once in a period.

    A payee that has as much already has had its top-up, which leaves a note on its head and no entry. When the account
    has nothing to give, nothing is noted, and a later try may find something.
    """

    kind: ClassVar[EntryKind] = EntryKind.TRANSFER
    payee_id: AccountId
    to_micros: int
    """Not part of the request: whoever edits it within a period has had that period's."""
    start_ms: int
    """Where the period begins."""
    facts: Facts

    def idempotency_key(self) -> str:
        return f"top_up:{self.payee_id}:{self.start_ms}"

    @property
    def account_ids(self) -> tuple[AccountId, ...]:
        return (self.account_id, self.payee_id)

    def request_fields(self) -> Sequence[str]:
        return (self.payee_id, str(self.start_ms), *flat(self.facts))

    def apply(self, heads: Heads) -> Step[Posted | None]:
        payer, payee = present(heads, self.account_id), present(heads, self.payee_id)
        allowance = payee.allowance or Allowance()
        if allowance.filled_ms >= self.start_ms:
            raise AlreadyFilled
        filled = replace(payee, allowance=replace(allowance, filled_ms=self.start_ms))
        missing_micros = self.to_micros - rules.alive_micros(payee, self.at_ms)
        if missing_micros <= 0:
            return Step((filled,), (), None)
        rules.check_may_spend(payer)
        rules.check_may_receive(payee)
        amount_micros = min(missing_micros, rules.spendable_micros(payer, self.at_ms))
        if not amount_micros:
            raise CreditTooLow(needed_micros=missing_micros, spendable_micros=0)
        taken = rules.consume(payer.lots, amount_micros, valid_at_ms=self.at_ms)
        step = move(self, payer, filled, taken, self.facts)
        return Step(step.heads, step.entries, step.result)


class Withdraw(Posting, frozen=True, kw_only=True):
    """Move all that is free to another account. What is held stays, in the credits that its call would spend first."""

    kind: ClassVar[EntryKind] = EntryKind.TRANSFER
    payee_id: AccountId
    key: str
    facts: Facts

    def idempotency_key(self) -> str:
        return self.key

    @property
    def account_ids(self) -> tuple[AccountId, ...]:
        return (self.account_id, self.payee_id)

    def request_fields(self) -> Sequence[str]:
        return (self.payee_id, *flat(self.facts))

    def apply(self, heads: Heads) -> Step[Posted]:
        payer, payee = present(heads, self.account_id), present(heads, self.payee_id)
        rules.check_may_spend(payer)
        rules.check_may_receive(payee)
        if not rules.free_micros(payer, self.at_ms):
            raise NothingToMove
        # What is owed keeps credits back as well, so that no withdrawal leaves a debt behind.
        kept_micros = rules.usable_micros(payer.lots, self.at_ms) - rules.free_micros(payer, self.at_ms)
        taken = rules.all_but(payer.lots, kept_micros, valid_at_ms=self.at_ms)
        return move(self, payer, payee, taken, self.facts)
