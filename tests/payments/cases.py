"""What a provider, a network or a thief may do to a purchase. Each case leaves a balance that `matrix.py` names.

The pack is 500 credits with 50 on top.
"""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from shared.payments.errors import EventRefused
from shared.payments.models import Order, OrderState, PaymentId
from shared.payments.store import KeptOrder
from tests.payments.builders import Shop

TOLERANCE_MS = 300_000
Case = Callable[[Shop], Awaitable[object]]


async def bought(shop: Shop) -> tuple[Order, PaymentId]:
    """An order that is paid and granted."""
    order = await shop.order()
    payment_id = shop.bench.pay(order)
    await shop.settle()
    return order, payment_id


async def duplicate(shop: Shop) -> None:
    shop.bench.pay(await shop.order())
    deliveries = shop.bench.deliveries()
    for _ in range(3):
        await shop.receive(deliveries)
        await shop.work()
    for told in shop.told():
        await shop.run("payment_apply", told)


async def reordered(shop: Shop) -> None:
    shop.bench.pay(await shop.order())
    for delivery in reversed(shop.bench.deliveries()):
        await shop.receive([delivery])
        await shop.work()


async def concurrent(shop: Shop) -> None:
    shop.bench.pay(await shop.order())
    await shop.receive(shop.bench.deliveries())
    await asyncio.gather(*(shop.run("payment_apply", told) for told in shop.told() * 4))


async def replayed(shop: Shop) -> None:
    """After everything was given back, the first events come again."""
    order = await shop.order()
    payment_id = shop.bench.pay(order)
    first = shop.bench.deliveries()
    await shop.receive(first)
    await shop.work()
    shop.bench.give_back(payment_id, order.money.amount_minor)
    await shop.settle()
    await shop.receive(first)
    for told in shop.told():
        await shop.run("payment_apply", told)


async def forged(shop: Shop) -> None:
    shop.bench.pay(await shop.order())
    for delivery in shop.bench.deliveries():
        with pytest.raises(EventRefused):
            await shop.receive([shop.bench.forged(delivery)])
    await shop.work()


async def stale(shop: Shop, by_ms: int = TOLERANCE_MS + 1_000) -> None:
    shop.bench.pay(await shop.order())
    for delivery in shop.bench.deliveries():
        with pytest.raises(EventRefused):
            await shop.receive([shop.bench.aged(delivery, by_ms)])
    await shop.work()


async def future(shop: Shop) -> None:
    await stale(shop, -TOLERANCE_MS - 1_000)


async def lost_events(shop: Shop) -> None:
    """No event ever comes; the look at the order's end finds the payment."""
    order = await shop.order()
    shop.bench.pay(order)
    shop.clock.now_ms = order.expires_at_ms + 120_000
    await shop.work()


async def wrong_amount(shop: Shop) -> None:
    order = await shop.order()
    shop.bench.tamper(shop.bench.pay(order), amount_minor=order.money.amount_minor - 1)
    await shop.settle()
    assert shop.reasons() == {"wrong_amount"}


async def wrong_currency(shop: Shop) -> None:
    shop.bench.tamper(shop.bench.pay(await shop.order()), currency="JPY")
    await shop.settle()
    assert shop.reasons() == {"wrong_currency"}


async def unknown_status(shop: Shop) -> None:
    shop.bench.confuse(shop.bench.pay(await shop.order()))
    await shop.settle()
    assert shop.reasons() == {"unknown_status"}


async def unpaid(shop: Shop) -> None:
    order = await shop.order()
    shop.bench.lapse(order)
    await shop.settle()
    assert shop.kept(order).state is OrderState.EXPIRED


async def wrong_rail(shop: Shop) -> None:
    """The payment names an order that is to be paid some other way."""
    order, other = await shop.order(), await shop.order()
    shop.bench.claim(shop.bench.pay(order), other)
    kept = shop.store.orders[other.order_id]
    shop.store.orders[other.order_id] = KeptOrder(replace(kept.order, rail="another"), kept.version)
    await shop.settle()
    assert shop.reasons() == {"wrong_rail"}


async def order_unknown(shop: Shop) -> None:
    """Nobody here has heard of the order that the payment names."""
    order = await shop.order()
    shop.bench.claim(shop.bench.pay(order), replace(order, order_id="a" * 24))
    await shop.settle()
    assert shop.reasons() == {"order_unknown"}


async def paid_twice(shop: Shop) -> None:
    """Two payments name one order: the second one's money is there, and a person gives it back."""
    order, _ = await bought(shop)
    shop.bench.claim(shop.bench.pay(await shop.order()), order)
    await shop.settle()
    assert shop.reasons() == {"paid_twice"}


async def payment_of_another_order(shop: Shop) -> None:
    """A payment that was granted names another order, whose buyer has paid nothing."""
    _, payment_id = await bought(shop)
    shop.bench.claim(payment_id, await shop.order())
    for told in shop.told():
        await shop.run("payment_apply", told)
    assert "payment_of_another_order" in shop.reasons()
