"""What tests of PayPal alone do with a shop: its account at the stand-in, its looks, what was told."""

from typing import Any

from shared.payments.models import Order, Seen, Subject
from tests.payments.builders import Shop


def account(shop: Shop) -> Any:
    return shop.bench.account


def reference(order: Order) -> str:
    assert order.checkout is not None
    return order.checkout.reference


async def look(shop: Shop, kind: str, object_id: str) -> Seen | None:
    return await shop.bench.rail(lambda inner: inner).look(Subject(kind, object_id))


def told(shop: Shop, event_type: str) -> int:
    return sum(event["event_type"] == event_type for event in account(shop).events)
