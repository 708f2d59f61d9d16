"""What an operator decides of a purchase whose credits were put aside: let them go. To refuse is to refund it.

The purchase and the question about it are two documents that end together, whichever of them the operator names.
"""

from shared.base.clock import Clock
from shared.payments import hold_rules
from shared.payments.applier import Applier
from shared.payments.errors import OrderAbsent, ReviewResolved
from shared.payments.holds import Holds
from shared.payments.models import Order, OrderId
from shared.payments.reviews import Decision, ReviewStore, Verdict
from shared.payments.store import PaymentStore, review_id


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
