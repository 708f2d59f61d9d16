"""Ends the hold of a purchase whose credits were put aside, for whoever decides of the order or of the question."""

from shared.base.log import write_line
from shared.payments import hold_rules
from shared.payments.errors import OrderAbsent
from shared.payments.models import Order, OrderId
from shared.payments.store import PaymentStore, review_id, write_over
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
        await write_over(self._store, kept, after)
        write_line("WARNING", "order_released", order=order_id, by=operator, reason=reason)
        return after
