"""What an operator decides of a purchase whose credits were put aside: let them go. To refuse is to refund it.

The purchase and the question about it are two documents that end together, whichever of them the operator names.
"""

from shared.base.clock import Clock
from shared.base.log import write_line
from shared.payments import hold_rules
from shared.payments.applier import Applier
from shared.payments.errors import OrderAbsent, OrderBusy, ReviewResolved
from shared.payments.models import Order, OrderId
from shared.payments.reviews import Decision, ReviewStore, Verdict
from shared.payments.store import OrderChanged, PaymentStore, review_id
from shared.payments.watch import subject_of
from shared.risk.service import Risk


class Holds:
    """Ends holds. The credits themselves move at the next look at the order."""

    def __init__(self, store: PaymentStore, risk: Risk) -> None:
        self._store = store
        self._risk = risk

    async def order_asked_about(self, name: str, order_id: OrderId | None) -> Order | None:
        """The order that was put aside when this review was written; None for a review about anything else."""
        kept = await self._store.find(order_id) if order_id is not None else None
        if kept is None or kept.order.hold is None or review_id(hold_rules.review_of(kept.order)) != name:
            return None
        return kept.order

    async def let_go(self, order_id: OrderId, *, operator: str, reason: str) -> Order:
        """The order once nothing holds it. A repeat changes nothing. Raise OrderAbsent or OrderBusy."""
        kept = await self._store.find(order_id)
        if kept is None:
            raise OrderAbsent
        if not kept.order.is_held:
            return kept.order
        subject = subject_of(kept.order)
        await self._risk.note(subject, kept.order.owner, rule="hold_release", outcome=reason, by=operator)
        after = hold_rules.let_go(kept.order)
        try:
            await self._store.replace(kept, after)
        except OrderChanged:
            raise OrderBusy from None
        write_line("WARNING", "order_released", order=order_id, by=operator, reason=reason)
        return after


class HeldOrders:
    """Purchases that wait for a person."""

    def __init__(self, store: PaymentStore, holds: Holds, reviews: ReviewStore, applier: Applier, clock: Clock) -> None:
        self._store = store
        self._holds = holds
        self._reviews = reviews
        self._applier = applier
        self._clock = clock

    async def release(self, order_id: OrderId, *, operator: str, reason: str) -> Order:
        """Give the buyer the credits that were put aside, and close the review that asks about them.

        A repeat changes nothing. Raise OrderAbsent or OrderBusy.
        """
        order = await self._holds.let_go(order_id, operator=operator, reason=reason)
        # If we die before this is done, a repeat closes the review, and the next look at the order moves its credits.
        if order.hold is not None:
            await self._close_review(order, operator=operator, reason=reason)
        await self._applier.check(order_id)
        after = await self._store.find(order_id)
        if after is None:
            raise OrderAbsent
        return after.order

    async def _close_review(self, order: Order, *, operator: str, reason: str) -> None:
        name = review_id(hold_rules.review_of(order))
        decision = Decision(verdict=Verdict.DISMISSED, by=operator, why=reason, at_ms=self._clock())
        try:
            await self._reviews.decide(name, decision)
        except ReviewResolved:
            # Decided before, or by a repeat of this.
            return
