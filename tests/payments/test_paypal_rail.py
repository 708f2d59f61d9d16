"""What is PayPal's own on the way of a payment: approvals, captures, reversals, parts of disputes, other merchants."""

import asyncio
from typing import Any
from zlib import crc32

import pytest
from msgspec.structs import replace

from local.paypal.account import MERCHANT_ID
from shared.payments.errors import RailRefused
from shared.payments.models import Money, Order, OrderState, PaymentId, PaymentStatus, ReversalState, Seen, Subject
from shared.payments.paypal.rail import DISPUTES_MAX
from tests.payments.builders import CREDIT, PACK, Shop
from tests.payments.cases import bought
from tests.payments.checksum import with_crc32
from tests.payments.matrix import NOTHING, WHOLE
from tests.payments.paypal_bench import PayPalBench

THIEF = "THJEF23456789"


@pytest.fixture
def bench() -> type[PayPalBench]:
    return PayPalBench


def account(shop: Shop) -> Any:
    return shop.bench.account


def reference(order: Order) -> str:
    assert order.checkout is not None
    return order.checkout.reference


async def look(shop: Shop, kind: str, object_id: str) -> Seen | None:
    return await shop.bench.rail(lambda inner: inner).look(Subject(kind, object_id))


def told(shop: Shop, event_type: str) -> int:
    return sum(event["event_type"] == event_type for event in account(shop).events)


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


async def test_an_order_that_nobody_approved_is_over_when_ours_is(shop: Shop) -> None:
    order = await shop.order()
    shop.bench.lapse(order)
    await shop.work()
    assert shop.kept(order).state is OrderState.EXPIRED

    shop.bench.pay(order)
    await shop.settle()

    assert await shop.credits() == WHOLE, "who approves after all gets what was approved"


async def test_a_reversal_takes_the_credits_back(shop: Shop) -> None:
    order, payment_id = await bought(shop)
    await shop.spend(300)

    account(shop).reverse(payment_id)
    await shop.settle()

    assert await shop.credits() == (-300, 0)
    assert shop.kept(order).state is OrderState.REFUNDED


async def test_a_refund_whose_key_paypal_forgot_is_not_made_again(shop: Shop) -> None:
    _, payment_id = await bought(shop)
    rail = shop.bench.rail(lambda inner: inner)
    for _ in range(2):
        await rail.refund(payment_id, Money(100, "USD"), key="refund-1")
        account(shop).forget_keys()

    assert told(shop, "PAYMENT.CAPTURE.REFUNDED") == 1


async def test_a_refund_that_the_order_does_not_list_yet_counts(shop: Shop) -> None:
    order, payment_id = await bought(shop)
    refund_id = shop.bench.give_back(payment_id, order.money.amount_minor)
    unit = account(shop)._objects[reference(order)]["purchase_units"][0]
    unit["payments"]["refunds"].clear()

    await shop.settle()

    assert list(shop.kept(order).reversals) == [refund_id]
    assert await shop.credits() == NOTHING


async def test_a_refund_is_seen_when_paypal_has_forgotten_the_order(shop: Shop) -> None:
    order, payment_id = await bought(shop)
    refund_id = shop.bench.give_back(payment_id, 100)
    account(shop).forget(reference(order))

    seen = await look(shop, "refund", refund_id)

    assert seen is not None
    assert [(refund.refund_id, refund.amount_minor) for refund in seen.refunds] == [(refund_id, 100)]


async def test_what_was_given_back_is_not_granted_because_nobody_says_how_much(shop: Shop) -> None:
    """No event came, and the refund is not in the order's list: the status alone says that there is one."""
    for amount_minor in (499, 1):
        order = await shop.order()
        shop.bench.give_back(shop.bench.pay(order), amount_minor)
        account(shop)._objects[reference(order)]["purchase_units"][0]["payments"]["refunds"].clear()
        await shop.process().applier.check(order.order_id)

    assert (await shop.credits(), shop.reasons()) == (NOTHING, {"unknown_status"})


async def test_a_refund_in_another_currency_is_for_a_person(shop: Shop) -> None:
    _, payment_id = await bought(shop)
    refund_id = shop.bench.give_back(payment_id, 499)
    account(shop).tamper(refund_id, amount={"currency_code": "JPY", "value": "499"})

    await shop.settle()

    assert (await shop.credits(), shop.reasons()) == (WHOLE, {"unknown_status"})


async def test_a_lost_dispute_and_its_reversal_take_the_whole_once(shop: Shop) -> None:
    for reversal_first in (True, False):
        shop = Shop(PayPalBench)
        await shop.open_wallet()
        _, payment_id = await bought(shop)
        await shop.spend(100)
        dispute_id = shop.bench.dispute(payment_id)
        await shop.settle()
        for is_reversal in (reversal_first, not reversal_first):
            if is_reversal:
                account(shop).reverse(payment_id)
            else:
                shop.bench.decide(dispute_id, won=False)
            await shop.settle()

        # The hundred that were spent began with the bonus of fifty, which goes back with the rest.
        assert await shop.credits() == (-100, 0)
        assert await shop.set_aside() == 0


async def test_a_dispute_lost_over_a_part_is_taken_by_its_refund_alone(shop: Shop) -> None:
    """Until PayPal shows the refund, the part stays set aside and a person is told."""
    order, payment_id = await bought(shop)
    dispute_id = shop.bench.dispute(payment_id, 200)
    shop.bench.decide(dispute_id, won=False)
    await shop.settle()
    assert shop.reasons() == {"dispute_differs", "unknown_dispute_status"}
    assert await shop.set_aside() > 0

    shop.bench.give_back(payment_id, 200)
    await shop.settle()

    left = PACK.credits_micros - PACK.credits_micros * 200 // order.money.amount_minor
    assert (await shop.micros())[0] == left
    assert (await shop.set_aside(), shop.kept(order).state) == (0, OrderState.GRANTED)


async def test_a_refund_made_before_a_dispute_does_not_pay_for_it(shop: Shop) -> None:
    _, payment_id = await bought(shop)
    shop.bench.give_back(payment_id, 200)
    shop.clock.now_ms += 60_000
    shop.bench.decide(shop.bench.dispute(payment_id, 200), won=False)

    await shop.settle()

    assert "unknown_dispute_status" in shop.reasons()
    assert await shop.set_aside() > 0


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        ("RESOLVED_SELLER_FAVOUR", ReversalState.RETURNED),
        ("CANCELED_BY_BUYER", ReversalState.RETURNED),
        ("DENIED", ReversalState.RETURNED),
        ("RESOLVED_BUYER_FAVOUR", ReversalState.TAKEN),
        ("ACCEPTED", ReversalState.TAKEN),
        ("RESOLVED_WITH_PAYOUT", None),
        ("NONE", None),
        ("SOMETHING_NEW", None),
    ],
)
async def test_only_clear_outcomes_decide(shop: Shop, outcome: str, state: ReversalState | None) -> None:
    _, payment_id = await bought(shop)
    dispute_id = shop.bench.dispute(payment_id)
    account(shop).decide(dispute_id, outcome)

    seen = await look(shop, "dispute", dispute_id)

    assert seen is not None
    assert [(found.state, found.status) for found in seen.disputes] == [(state, outcome)]


@pytest.mark.parametrize("status", ["WAITING_FOR_BUYER_RESPONSE", "WAITING_FOR_SELLER_RESPONSE", "UNDER_REVIEW"])
async def test_a_dispute_that_goes_on_is_open(shop: Shop, status: str) -> None:
    _, payment_id = await bought(shop)
    account(shop).dispute(payment_id, status=status)
    await shop.settle()

    assert await shop.set_aside() == 500 * CREDIT


async def test_a_dispute_of_several_payments_is_for_a_person(shop: Shop) -> None:
    _, payment_id = await bought(shop)
    dispute_id = shop.bench.dispute(payment_id)
    several = [{"seller_transaction_id": payment_id}, {"seller_transaction_id": "OTHER"}]
    account(shop).tamper(dispute_id, disputed_transactions=several)

    await shop.settle()

    assert shop.reasons() == {"object_unknown"}


async def test_more_disputes_than_a_page_are_for_a_person(shop: Shop) -> None:
    _, payment_id = await bought(shop)
    for _ in range(DISPUTES_MAX + 1):
        shop.bench.dispute(payment_id)

    seen = await look(shop, "capture", payment_id)

    assert seen is not None
    assert seen.status is PaymentStatus.UNKNOWN


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
