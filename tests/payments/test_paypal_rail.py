"""What is PayPal's own on the way of a payment: approvals, captures, money that is held, amounts."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from local.paypal.account import MERCHANT_ID
from shared.payments.errors import RailRefused, RailUnavailable
from shared.payments.models import Money, OrderState, PaymentId, PaymentStatus
from tests.payments.builders import Shop
from tests.payments.matrix import NOTHING, WHOLE
from tests.payments.paypal_account import account, look, reference, told
from tests.payments.paypal_bench import PayPalBench


@pytest.fixture
def bench() -> type[PayPalBench]:
    return PayPalBench


async def test_an_approval_is_captured_and_granted_in_one_look(shop: Shop) -> None:
    order = await shop.order()
    shop.bench.pay(order)
    assert await shop.credits() == NOTHING

    await shop.settle()

    assert await shop.credits() == WHOLE
    assert told(shop, "PAYMENT.CAPTURE.COMPLETED") == 1


async def test_paypal_is_asked_for_exactly_the_orders_money(shop: Shop) -> None:
    order = await shop.order()

    unit = account(shop).handle("GET", f"/v2/checkout/orders/{reference(order)}", {})["purchase_units"][0]

    assert unit["amount"] == {"currency_code": "USD", "value": "4.99"}
    assert (unit["custom_id"], unit["invoice_id"], unit["payee"]) == (
        order.order_id,
        order.order_id,
        {"merchant_id": MERCHANT_ID},
    )


async def test_many_looks_at_once_capture_once(shop: Shop) -> None:
    order = await shop.order()
    shop.bench.pay(order)

    seen = await asyncio.gather(*(look(shop, "order", reference(order)) for _ in range(10)))

    assert told(shop, "PAYMENT.CAPTURE.COMPLETED") == 1
    assert {found.status for found in seen if found} == {PaymentStatus.PAID}
    assert len({found.payment_id for found in seen if found}) == 1


async def test_a_capture_whose_key_paypal_forgot_is_not_made_again(shop: Shop) -> None:
    order = await shop.order()
    shop.bench.pay(order)
    await shop.settle()
    account(shop).forget_keys()

    await look(shop, "order", reference(order))
    with pytest.raises(RailRefused, match="ORDER_ALREADY_CAPTURED"):
        await shop.bench.api.post(f"/v2/checkout/orders/{reference(order)}/capture", {}, key="another")

    assert told(shop, "PAYMENT.CAPTURE.COMPLETED") == 1


async def test_a_capture_that_paypal_does_not_show_yet_is_looked_at_later(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a person is asked nor is the buyer told that nothing was paid."""
    order = await shop.order()
    shop.bench.pay(order)
    behind = account(shop).handle("GET", f"/v2/checkout/orders/{reference(order)}", {})

    async def get(path: str, params: object) -> dict[str, Any]:
        return behind

    with monkeypatch.context() as patched:
        patched.setattr(shop.bench.api, "get", get)
        for _ in range(2):
            with pytest.raises(RailUnavailable):
                await look(shop, "order", reference(order))
            account(shop).forget_keys()

    await shop.settle()
    assert await shop.credits() == WHOLE


async def test_a_card_that_is_declined_can_be_followed_by_a_better_one(shop: Shop) -> None:
    """Under the key of the first try PayPal would only repeat its no."""
    order = await shop.order()
    account(shop).approve(reference(order), funding="declined")
    await shop.settle()
    assert (shop.kept(order).state, await shop.credits()) == (OrderState.PENDING, NOTHING)
    shop.clock.now_ms += 30_000

    account(shop).approve(reference(order))
    await shop.settle()

    assert await shop.credits() == WHOLE
    assert shop.reasons() == set()


async def test_what_was_not_approved_is_not_taken(shop: Shop) -> None:
    order = await shop.order()

    seen = await look(shop, "order", reference(order))

    assert seen is not None
    assert seen.status is PaymentStatus.OPEN
    assert not account(shop).is_captured(reference(order))


@pytest.mark.parametrize(("fails", "credits", "state"), [(False, WHOLE, "granted"), (True, NOTHING, "cancelled")])
async def test_money_that_paypal_holds_is_waited_for(
    shop: Shop, fails: bool, credits: tuple[int, int], state: str
) -> None:
    order = await shop.order()
    account(shop).approve(reference(order), funding="review")
    await shop.settle()
    assert await shop.credits() == NOTHING

    account(shop).arrive(account(shop).capture_id_of(reference(order)), fails=fails)
    await shop.settle()

    assert (await shop.credits(), shop.kept(order).state) == (credits, state)


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        ("ORDER_NOT_APPROVED", PaymentStatus.OPEN),
        ("PAYER_CANNOT_PAY", PaymentStatus.FAILED),
        ("TRANSACTION_REFUSED", PaymentStatus.FAILED),
        ("DUPLICATE_INVOICE_ID", PaymentStatus.UNKNOWN),
        ("SOMETHING_NEW", PaymentStatus.UNKNOWN),
    ],
)
async def test_what_paypal_refuses_to_capture_is_judged_by_why(
    shop: Shop, refusal: str, status: PaymentStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await shop.order()
    shop.bench.pay(order)

    async def refuse(path: str, body: object, *, key: str) -> dict[str, Any]:
        raise RailRefused("PayPal", refusal)

    monkeypatch.setattr(shop.bench.api, "post", refuse)
    seen = await look(shop, "order", reference(order))

    assert seen is not None
    assert (seen.status, seen.status_word) == (status, refusal)


async def test_an_invoice_is_paid_once(shop: Shop) -> None:
    """Should somebody make a second order at PayPal for one of ours, its money does not even move."""
    order = await shop.order()
    shop.bench.pay(order)
    await shop.settle()
    unit = account(shop).handle("GET", f"/v2/checkout/orders/{reference(order)}", {})["purchase_units"][0]
    copied = {name: unit[name] for name in ("custom_id", "invoice_id", "amount", "payee")}
    second = account(shop).handle("POST", "/v2/checkout/orders", {"intent": "CAPTURE", "purchase_units": [copied]})
    account(shop).approve(second["id"])

    await shop.settle()

    assert told(shop, "PAYMENT.CAPTURE.COMPLETED") == 1
    assert shop.reasons() == {"unknown_status"}
    assert await shop.credits() == WHOLE


async def test_an_order_that_nobody_approved_is_over_when_ours_is(shop: Shop) -> None:
    order = await shop.order()
    shop.bench.lapse(order)
    await shop.work()
    assert shop.kept(order).state is OrderState.EXPIRED

    shop.bench.pay(order)
    await shop.settle()

    assert await shop.credits() == WHOLE, "who approves after all gets what was approved"


@pytest.mark.parametrize(
    "amount", [None, {}, {"value": "4.991", "currency_code": "USD"}, {"value": 4.99, "currency_code": "USD"}]
)
async def test_an_amount_that_is_none_grants_nothing(shop: Shop, amount: object) -> None:
    order = await shop.order()
    payment_id = shop.bench.pay(order)
    shop.bench.subject(payment_id)
    account(shop).tamper(payment_id, amount=amount)

    await shop.settle()

    assert (await shop.credits(), shop.reasons()) == (NOTHING, {"unknown_status"})


async def test_an_order_of_several_captures_is_for_a_person(shop: Shop) -> None:
    order = await shop.order()
    shop.bench.subject(shop.bench.pay(order))
    captures = account(shop)._objects[reference(order)]["purchase_units"][0]["payments"]["captures"]
    captures.append(captures[0])

    await shop.settle()

    assert "unknown_status" in shop.reasons()


async def test_a_currency_that_paypal_does_not_take_is_refused(shop: Shop) -> None:
    order = replace(await shop.order(), money=Money(100, "KWD"))
    with pytest.raises(RailRefused, match="CURRENCY_NOT_SUPPORTED"):
        await shop.bench.rail(lambda inner: inner).begin(order)


async def test_yen_are_taken_whole(shop: Shop) -> None:
    order = replace(await shop.order(), money=Money(499, "JPY"), order_id="b" * 24)
    rail = shop.bench.rail(lambda inner: inner)
    checkout = await rail.begin(order)
    account(shop).approve(checkout.reference)

    seen = await look(shop, "order", checkout.reference)

    assert seen is not None
    assert (seen.status, seen.money) == (PaymentStatus.PAID, Money(499, "JPY"))
    await rail.refund(PaymentId(str(seen.payment_id)), Money(99, "JPY"), key="a part")
    seen = await look(shop, "capture", str(seen.payment_id))
    assert seen is not None
    assert [refund.amount_minor for refund in seen.refunds] == [99]
