"""What is known of an earner before money leaves: the recipient, the wallet, the earnings, the purchases.

Everything is read anew. Of earnings, what came in lately is counted from the entries: the head does not say how old its
credits are.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from shared.base.clock import Clock
from shared.base.ids import AccountId, UserId
from shared.ledger.errors import LedgerUnavailable
from shared.ledger.models import Entry, Head, Origin, Status
from shared.ledger.store import LedgerStore, StoreUnavailable
from shared.payments.models import Order, ReversalKind, ReversalState
from shared.payouts.models import HOUSE_PAYOUTS, Earned, Standing
from shared.payouts.recipients import Recipients
from shared.payouts.rules import Waits


class Income(Protocol):
    """The newest entries of an account."""

    async def since(self, account_id: AccountId, since: datetime) -> Sequence[Entry] | None:
        """Entries committed since then; None for too many to count. Raise StoreUnavailable."""


class Purchases(Protocol):
    """What somebody bought."""

    async def of(self, owner: UserId) -> Sequence[Order] | None:
        """All orders of an owner; None for too many to look through. Raise PaymentsUnavailable."""


class EarnerStandings:
    """Standings from the ledger, from payments and from the provider."""

    def __init__(
        self,
        recipients: Recipients,
        ledger: LedgerStore,
        income: Income,
        purchases: Purchases,
        waits: Waits,
        clock: Clock,
    ) -> None:
        self._recipients = recipients
        self._ledger = ledger
        self._income = income
        self._purchases = purchases
        self._waits = waits
        self._clock = clock

    async def of(self, owner: UserId) -> Standing:
        recipient = await self._recipients.look(owner)
        orders = await self._purchases.of(owner)
        wallet, earnings = await self._heads(owner)
        return Standing(
            recipient=recipient,
            wallet_micros=wallet.balance_micros if wallet else 0,
            earned_micros=_paid_micros(earnings),
            is_open=all(head is None or head.status is Status.OPEN for head in (wallet, earnings)),
            is_disputed=orders is None or any(is_doubted(order) for order in orders),
        )

    async def earned(self, owner: UserId) -> Earned:
        # The head first: what comes in between the two reads counts as fresh, and not as there.
        _, earnings = await self._heads(owner)
        since = datetime.fromtimestamp((self._clock() - self._waits.hold_ms) / 1000, UTC)
        try:
            entries = await self._income.since(AccountId(f"earn:{owner}"), since)
        except StoreUnavailable:
            raise LedgerUnavailable from None
        fresh_micros = None if entries is None else sum(map(income_micros, entries))
        return Earned(_paid_micros(earnings), fresh_micros)

    async def _heads(self, owner: UserId) -> tuple[Head | None, Head | None]:
        ids = AccountId(f"user:{owner}"), AccountId(f"earn:{owner}")
        try:
            seen = await self._ledger.read(ids, ())
        except StoreUnavailable:
            raise LedgerUnavailable from None
        return seen.heads[ids[0]].head, seen.heads[ids[1]].head


def is_doubted(order: Order) -> bool:
    """Whether a purchase is disputed, under suspicion or set aside, and nobody has decided it yet."""
    doubts = (ReversalKind.DISPUTE, ReversalKind.WARNING)
    return order.is_held or any(
        one.kind in doubts and one.state is ReversalState.OPEN for one in order.reversals.values()
    )


def income_micros(entry: Entry) -> int:
    """How many paid credits came in by an entry. What came back of a payout was there before it."""
    if any(leg.account_id == HOUSE_PAYOUTS for leg in entry.legs):
        return 0
    return sum(max(0, change.delta_micros) for change in entry.lots if change.origin is Origin.PAID)


def _paid_micros(head: Head | None) -> int:
    lots = head.lots if head else ()
    return sum(lot.remaining_micros for lot in lots if lot.origin is Origin.PAID)
