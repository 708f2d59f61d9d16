"""What strangers make PayPal say in our name: other payees, other prices, other people's orders, other bodies."""

from typing import Any
from zlib import crc32

import pytest

from shared.payments.models import Order, PaymentStatus
from tests.payments.builders import Shop
from tests.payments.cases import bought
from tests.payments.checksum import with_crc32
from tests.payments.matrix import NOTHING
from tests.payments.paypal_account import account, look, reference
from tests.payments.paypal_bench import PayPalBench

THIEF = "THJEF23456789"


@pytest.fixture
def bench() -> type[PayPalBench]:
    return PayPalBench


def foreign_order(shop: Shop, order: Order, **unit: Any) -> str:
    """An order at PayPal that somebody made with our public client id; approved."""
    amount = {"currency_code": "USD", "value": "4.99"}
    units = [{"custom_id": order.order_id, "amount": amount, **unit}]
    made = account(shop).handle("POST", "/v2/checkout/orders", {"intent": "CAPTURE", "purchase_units": units})
    account(shop).approve(made["id"])
    return str(made["id"])


async def test_a_payment_to_another_merchant_is_none(shop: Shop) -> None:
    """Whoever pays themselves, in our order's name and amount, is not even helped to."""
    order = await shop.order()
    made = foreign_order(shop, order, payee={"merchant_id": THIEF})
    await shop.settle()
    assert (shop.reasons(), account(shop).is_captured(made)) == ({"unknown_status"}, False)

    account(shop).capture(made)
    await shop.settle()

    assert await shop.credits() == NOTHING


async def test_a_capture_that_names_no_payee_is_judged_by_its_order(shop: Shop) -> None:
    order, payment_id = await bought(shop)
    account(shop).tamper(payment_id, payee={})
    seen = await look(shop, "capture", payment_id)
    assert seen is not None
    assert seen.status is PaymentStatus.PAID

    unit = account(shop).handle("GET", f"/v2/checkout/orders/{reference(order)}", {})["purchase_units"][0]
    account(shop).tamper(reference(order), purchase_units=[{**unit, "payee": {}, "payments": {}}])

    seen = await look(shop, "capture", payment_id)
    assert seen is not None
    assert seen.status is PaymentStatus.UNKNOWN


async def test_an_order_of_another_price_grants_nothing(shop: Shop) -> None:
    order = await shop.order()
    foreign_order(shop, order, amount={"currency_code": "USD", "value": "0.01"})

    await shop.settle()

    assert (await shop.credits(), shop.reasons()) == (NOTHING, {"wrong_amount"})


@pytest.mark.parametrize("custom_id", ["", "somebody-elses-42", "A" * 24, "a" * 25, None, 7])
async def test_what_others_sell_on_the_same_account_is_left_alone(shop: Shop, custom_id: object) -> None:
    made = foreign_order(shop, await shop.order(), custom_id=custom_id)
    await shop.settle()
    assert not account(shop).is_captured(made)

    account(shop).capture(made)
    await shop.settle()

    assert (await shop.credits(), shop.reasons()) == (NOTHING, set())


async def test_an_event_of_another_merchants_order_finds_nothing(shop: Shop) -> None:
    event = {
        "event_type": "CHECKOUT.ORDER.APPROVED",
        "resource_type": "checkout-order",
        "resource": {"id": "5O190127TN364715T"},
    }
    await shop.receive([shop.bench.signed(event)])
    await shop.work()

    assert (await shop.credits(), shop.reasons()) == (NOTHING, {"object_unknown"})


async def test_another_body_under_a_signature_that_was_seen_leads_nowhere(shop: Shop) -> None:
    """A CRC32 is no proof of a body, so whoever saw a delivery can make another; the queue has that task already."""
    shop.bench.pay(await shop.order())
    [(raw, headers)] = shop.bench.deliveries()
    await shop.receive([(raw, headers)])
    waiting = dict(shop.queues.tasks)
    other = raw.replace(b"CHECKOUT.ORDER.APPROVED", b"CUSTOMER.DISPUTE.CREATE")
    assert other != raw

    await shop.receive([(with_crc32(other, crc32(raw)), headers)])

    assert shop.queues.tasks == waiting
