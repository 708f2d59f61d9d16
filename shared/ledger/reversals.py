"""The operations that follow a payment which is undone: set credits aside, take them back, give them back.

How many can be set aside is decided by the heads as they stand in the same commit. Taking back never looks at what is
there: what was spent is owed.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from msgspec.structs import replace

from shared.base.clock import Clock
from shared.base.ids import AccountId
from shared.ledger import rules
from shared.ledger.engine import Engine
from shared.ledger.errors import NothingToMove
from shared.ledger.models import HOUSE_PROMOTIONS, EntryKind, Leg, LotChange, Origin
from shared.ledger.operation import Facts, Heads, Posted, Posting, Step, facts_of, flat, post, present
from shared.ledger.postings import move, paid_grant


class SetAside(Posting, frozen=True, kw_only=True):
    """Move paid credits to an escrow account, as many of `amount_micros` as are free."""

    kind: ClassVar[EntryKind] = EntryKind.TRANSFER
    escrow_id: AccountId
    amount_micros: int
    facts: Facts

    def idempotency_key(self) -> str:
        return f"aside:{self.escrow_id}"

    @property
    def account_ids(self) -> tuple[AccountId, ...]:
        return (self.account_id, self.escrow_id)

    def request_fields(self) -> Sequence[str]:
        return (self.escrow_id, str(self.amount_micros), *flat(self.facts))

    def apply(self, heads: Heads) -> Step[Posted]:
        # A frozen account is no obstacle: nothing is spent.
        head, escrow = present(heads, self.account_id), present(heads, self.escrow_id)
        rules.check_amount(self.amount_micros)
        rules.check_may_receive(escrow)
        # What calls in flight hold stays, in the credits that they would spend first, and so does what is owed.
        kept_micros = rules.usable_micros(head.lots, self.at_ms) - rules.free_micros(head, self.at_ms)
        free = rules.all_but(head.lots, kept_micros, valid_at_ms=self.at_ms)
        taken = _at_most(self.amount_micros, [change for change in free if change.origin is Origin.PAID])
        if not taken:
            raise NothingToMove
        return move(self, head, escrow, taken, self.facts)


class TakeBack(Posting, frozen=True, kw_only=True):
    """Take paid credits back, and a bonus with them: what is no longer there of either is owed as paid credits."""

    kind: ClassVar[EntryKind] = EntryKind.CLAWBACK
    credits_micros: int
    bonus_micros: int
    payee: AccountId
    """A deferred account: where paid credits go."""
    key: str
    facts: Facts

    def idempotency_key(self) -> str:
        return self.key

    def request_fields(self) -> Sequence[str]:
        return ("with bonus", str(self.credits_micros), str(self.bonus_micros), self.payee, *flat(self.facts))

    def apply(self, heads: Heads) -> Step[Posted]:
        head = present(heads, self.account_id)
        rules.check_amount(self.credits_micros + self.bonus_micros)
        rules.check_deferred(self.payee)
        promo = [lot for lot in head.lots if lot.origin is Origin.PROMO]
        paid = [lot for lot in head.lots if lot.origin is Origin.PAID]
        gift_micros = min(self.bonus_micros, rules.usable_micros(promo, self.at_ms))
        owed_micros = self.credits_micros + self.bonus_micros - gift_micros
        changes = [
            *rules.consume(promo, gift_micros, valid_at_ms=self.at_ms),
            *rules.consume_or_owe(paid, owed_micros, valid_at_ms=self.at_ms),
        ]
        gift_legs = (Leg(HOUSE_PROMOTIONS, Origin.PROMO, gift_micros),) if gift_micros else ()
        paid_legs = (Leg(self.payee, Origin.PAID, owed_micros),) if owed_micros else ()
        return post(self, head, changes=_merged(changes), legs=(*paid_legs, *gift_legs), facts=self.facts)


class Reversals:
    """The verbs. Every one takes a key, and a repeat with the same key answers the same."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def set_aside(
        self, account_id: AccountId, escrow_id: AccountId, amount_micros: int, *, facts: Mapping[str, str | int]
    ) -> int:
        """Move what is free of the amount to an escrow account, once; what was moved.

        Raise NothingToMove, or AccountNotOpen when the escrow is closed because the matter was decided.
        """
        aside = SetAside(
            account_id=account_id,
            escrow_id=escrow_id,
            amount_micros=amount_micros,
            facts=facts_of(facts),
            at_ms=self._clock(),
        )
        return -(await self._engine.run(aside)).entry.delta_micros

    async def take_back(
        self,
        account_id: AccountId,
        credits_micros: int,
        bonus_micros: int,
        *,
        payee: AccountId,
        key: str,
        facts: Mapping[str, str | int],
    ) -> Posted:
        """Take paid credits and a bonus back, into debt if they are gone."""
        taking = TakeBack(
            account_id=account_id,
            credits_micros=credits_micros,
            bonus_micros=bonus_micros,
            payee=payee,
            key=key,
            facts=facts_of(facts),
            at_ms=self._clock(),
        )
        return await self._engine.run(taking)

    async def give_back(
        self, account_id: AccountId, amount_micros: int, *, source: AccountId, key: str, facts: Mapping[str, str | int]
    ) -> Posted:
        """Give paid credits back that were taken for nothing. Raise AccountNotOpen for a closed account."""
        at_ms = self._clock()
        return await self._engine.run(
            paid_grant(account_id, amount_micros, source=source, key=key, facts=facts, at_ms=at_ms)
        )


def _at_most(amount_micros: int, changes: Sequence[LotChange]) -> list[LotChange]:
    """The changes, as many as take the amount."""
    left, taken = amount_micros, []
    for change in changes:
        part = min(left, -change.delta_micros)
        left -= part
        if part:
            taken.append(replace(change, delta_micros=-part))
    return taken


def _merged(changes: Sequence[LotChange]) -> list[LotChange]:
    """One change for each lot: what a lot gave and what it owes besides are one."""
    sums: dict[tuple[Origin, int | None], int] = {}
    for change in changes:
        key = (change.origin, change.expires_at_ms)
        sums[key] = sums.get(key, 0) + change.delta_micros
    return [LotChange(origin, expires_at_ms, delta) for (origin, expires_at_ms), delta in sums.items()]
