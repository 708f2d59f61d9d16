"""What an operator decides of a purchase whose credits were put aside: let them go. To refuse is to refund it."""

from shared.base.log import write_line
from shared.payments import hold_rules
from shared.payments.applier import Applier
from shared.payments.errors import OrderAbsent, OrderBusy
from shared.payments.models import Order, OrderId
from shared.payments.store import OrderChanged, PaymentStore
from shared.payments.watch import subject_of
from shared.risk.service import Risk


class HeldOrders:
    """Purchases that wait for a person."""

    def __init__(self, store: PaymentStore, applier: Applier, risk: Risk) -> None:
        self._store = store
        self._applier = applier
        self._risk = risk

    async def release(self, order_id: OrderId, *, operator: str, reason: str) -> Order:
        """Give the buyer the credits that were put aside. A repeat changes nothing. Raise OrderAbsent or OrderBusy."""
        kept = await self._store.find(order_id)
        if kept is None:
            raise OrderAbsent
        if kept.order.is_held:
            subject = subject_of(kept.order)
            await self._risk.note(subject, kept.order.owner, rule="hold_release", outcome=reason, by=operator)
            try:
                await self._store.replace(kept, hold_rules.let_go(kept.order))
            except OrderChanged:
                raise OrderBusy from None
            write_line("WARNING", "order_released", order=order_id, by=operator, reason=reason)
        # If we die before this is done, the next look at the order does it.
        await self._applier.check(order_id)
        after = await self._store.find(order_id)
        if after is None:
            raise OrderAbsent
        return after.order
