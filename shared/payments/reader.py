"""Reading orders, for those who only look."""

from shared.base.ids import UserId
from shared.payments.errors import OrderAbsent
from shared.payments.models import Order, OrderId
from shared.payments.store import KeptOrder, PaymentStore


class OrderReader:
    """Orders of people."""

    def __init__(self, store: PaymentStore) -> None:
        self._store = store

    async def get(self, owner: UserId, order_id: OrderId) -> Order:
        """One order. Raise OrderAbsent, for somebody else's as for none."""
        return (await owned(self._store, owner, order_id)).order


async def owned(store: PaymentStore, owner: UserId, order_id: OrderId) -> KeptOrder:
    """The owner's order. Raise OrderAbsent, for somebody else's as for none."""
    kept = await store.find(order_id)
    if kept is None or kept.order.owner != owner:
        raise OrderAbsent
    return kept
