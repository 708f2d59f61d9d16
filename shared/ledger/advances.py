"""The operations of an advance: lent by the house to an account that nobody spends from, earned by use, taken back.

The advance is promotional while it is locked, because nobody knows yet what will earn it. What is earned is paid in the
credits of the calls that earned it, out of the platform's part of them, and as much of the advance goes back to where
it came from. So no promotional credit ever becomes one that can be paid out, and the house lends and never gives.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from shared.base.clock import Clock
from shared.base.ids import AccountId
from shared.ledger import rules
from shared.ledger.engine import Engine
from shared.ledger.errors import AccountAbsent, NothingToMove
from shared.ledger.models import HOUSE_ADVANCES, HOUSE_REVENUE, EntryKind, Leg, Lot, LotChange, Origin
from shared.ledger.operation import Facts, Heads, Posted, Posting, Step, facts_of, flat, post, present
from shared.ledger.postings import Grant, OpenAccount


class EarnAdvance(Posting, frozen=True, kw_only=True):
    """Pay the earner what use has earned beyond what the calls themselves paid, and retire as much of the advance.

    An amount below zero takes from the earner what rounding gave them too much in many small calls.
    """

    kind: ClassVar[EntryKind] = EntryKind.DEBIT
    earner: AccountId
    earned: tuple[tuple[Origin, int], ...]
    retired_micros: int
    key: str
    facts: Facts

    def idempotency_key(self) -> str:
        return self.key

    def request_fields(self) -> Sequence[str]:
        amounts = (text for origin, amount in self.earned for text in (origin.value, str(amount)))
        return (self.earner, *amounts, str(self.retired_micros), *flat(self.facts))

    def apply(self, heads: Heads) -> Step[Posted]:
        head = present(heads, self.account_id)
        rules.check_deferred(self.earner)
        # What was taken back meanwhile cannot be retired once more; what was earned is owed all the same.
        changes = _taken(head.lots, self.retired_micros)
        legs = [Leg(HOUSE_ADVANCES, change.origin, -change.delta_micros) for change in changes]
        for origin, amount in self.earned:
            if amount:
                legs += [Leg(HOUSE_REVENUE, origin, -amount), Leg(self.earner, origin, amount)]
        return post(self, head, changes=changes, legs=tuple(legs), facts=self.facts)


class ReturnAdvance(Posting, frozen=True, kw_only=True):
    """Take back all of an advance that is not earned."""

    kind: ClassVar[EntryKind] = EntryKind.CLAWBACK
    key: str
    facts: Facts

    def idempotency_key(self) -> str:
        return self.key

    def request_fields(self) -> Sequence[str]:
        return flat(self.facts)

    def apply(self, heads: Heads) -> Step[Posted]:
        head = present(heads, self.account_id)
        if not head.balance_micros:
            raise NothingToMove
        changes = _taken(head.lots, head.balance_micros)
        legs = tuple(Leg(HOUSE_ADVANCES, change.origin, -change.delta_micros) for change in changes)
        return post(self, head, changes=changes, legs=legs, facts=self.facts)


class Advances:
    """Advances that use earns. Amounts are micros."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def lend(self, account_id: AccountId, amount_micros: int, *, facts: Mapping[str, str | int]) -> None:
        """Open the account of an advance and put the advance on it, once; without any it is only opened."""
        # If we die in between, the account is open and empty; a repeat goes on.
        await self._engine.run(OpenAccount(account_id=account_id, at_ms=self._clock()))
        if not amount_micros:
            return
        grant = Grant(
            account_id=account_id,
            amount_micros=amount_micros,
            origin=Origin.PROMO,
            expires_at_ms=None,
            source=HOUSE_ADVANCES,
            key=f"lend:{account_id}",
            facts=facts_of(facts),
            at_ms=self._clock(),
        )
        await self._engine.run(grant)

    async def earn(
        self,
        account_id: AccountId,
        earner: AccountId,
        earned: Mapping[Origin, int],
        *,
        retired_micros: int,
        key: str,
        facts: Mapping[str, str | int],
    ) -> Posted:
        """Pay what was earned and retire at most so much of the advance, once per key. Raise AccountAbsent."""
        earn = EarnAdvance(
            account_id=account_id,
            earner=earner,
            earned=tuple(sorted(earned.items())),
            retired_micros=retired_micros,
            key=f"earn:{account_id}:{key}",
            facts=facts_of(facts),
            at_ms=self._clock(),
        )
        return await self._engine.run(earn)

    async def take_back(self, account_id: AccountId, *, facts: Mapping[str, str | int]) -> int:
        """Take back what is not earned, once; how much that was. What was never lent gives nothing."""
        back = ReturnAdvance(
            account_id=account_id, key=f"return:{account_id}", facts=facts_of(facts), at_ms=self._clock()
        )
        try:
            return -(await self._engine.run(back)).entry.delta_micros
        except (NothingToMove, AccountAbsent):
            return 0


def _taken(lots: Sequence[Lot], amount_micros: int) -> list[LotChange]:
    """At most so much of what there is. Nothing on such an account expires."""
    alive = [lot for lot in lots if lot.remaining_micros > 0]
    amount_micros = min(amount_micros, sum(lot.remaining_micros for lot in alive))
    return rules.consume(alive, amount_micros, valid_at_ms=0) if amount_micros else []
