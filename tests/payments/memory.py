"""Purchases kept in dictionaries: the promises of the store."""

import itertools

from msgspec.structs import replace

from shared.payments.errors import PaymentsUnavailable
from shared.payments.models import Event, Order, OrderId, PaymentId, RailName, Review
from shared.payments.reviews import Decision
from shared.payments.rules import payment_name
from shared.payments.store import (
    EVENT_LOOK_MS,
    KeptOrder,
    OrderChanged,
    OrderExists,
    PaymentBound,
    Version,
    invoice_document,
    order_document,
    order_from,
    review_id,
)


class MemoryPayments:
    """All that Firestore keeps. Documents and not values, so that conversion is exercised."""

    def __init__(self) -> None:
        self.orders: dict[OrderId, KeptOrder] = {}
        self.bound: dict[str, OrderId] = {}
        self.refund_keys: dict[str, OrderId] = {}
        self.events: dict[tuple[RailName, str], Event] = {}
        self.waiting: dict[tuple[RailName, str], int] = {}
        """When each event that was not applied yet is due."""
        self.reviews: dict[str, Review] = {}
        self.decisions: dict[str, Decision] = {}
        """What persons decided of them."""
        self.invoices: dict[OrderId, dict[str, object]] = {}
        self.last_invoice = 0
        self.is_down = False
        self._versions = itertools.count(1)

    async def create(self, order: Order) -> KeptOrder:
        self._require_up()
        if order.order_id in self.orders:
            raise OrderExists
        return self._keep(order)

    async def find(self, order_id: OrderId) -> KeptOrder | None:
        self._require_up()
        return self.orders.get(order_id)

    async def replace(self, kept: KeptOrder, order: Order) -> KeptOrder:
        self._require_unchanged(kept)
        is_paid_now = order.payment_id is not None and kept.order.payment_id is None
        if is_paid_now and self.bound.setdefault(_name(order), order.order_id) != order.order_id:
            raise PaymentBound
        return self._keep(order)

    async def order_of(self, rail: RailName, payment_id: PaymentId) -> OrderId | None:
        self._require_up()
        return self.bound.get(payment_name(rail, payment_id))

    async def bind_refund(self, refund_key: str, order_id: OrderId) -> OrderId:
        self._require_up()
        return self.refund_keys.setdefault(refund_key, order_id)

    async def keep_event(self, event: Event, *, at_ms: int) -> bool:
        self._require_up()
        is_new = (event.rail, event.event_id) not in self.events
        self.events.setdefault((event.rail, event.event_id), event)
        if is_new:
            self.waiting[event.rail, event.event_id] = at_ms + EVENT_LOOK_MS
        return is_new

    async def event_applied(self, event: Event) -> None:
        self._require_up()
        self.waiting.pop((event.rail, event.event_id), None)

    async def keep_review(self, review: Review, *, at_ms: int) -> None:
        self._require_up()
        self.reviews.setdefault(review_id(review), review)

    async def issue_invoice(self, kept: KeptOrder, *, at_ms: int) -> KeptOrder:
        self._require_unchanged(kept)
        self.last_invoice += 1
        order = replace(kept.order, invoice=f"{self.last_invoice:06d}")
        self.invoices[order.order_id] = invoice_document(order, at_ms)
        return self._keep(order)

    def _keep(self, order: Order) -> KeptOrder:
        read = order_from(order.order_id, order_document(order))
        self.orders[order.order_id] = KeptOrder(read, Version(next(self._versions)))
        return self.orders[order.order_id]

    def _require_unchanged(self, kept: KeptOrder) -> None:
        self._require_up()
        if self.orders[kept.order.order_id].version != kept.version:
            raise OrderChanged

    def _require_up(self) -> None:
        if self.is_down:
            raise PaymentsUnavailable


def _name(order: Order) -> str:
    return payment_name(order.rail, PaymentId(str(order.payment_id)))
