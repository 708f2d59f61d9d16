"""What undoes a payment by PayPal: refunds, reversals, disputes over the whole or a part, and lists that are behind."""

import pytest

from shared.payments.models import Money, OrderState, PaymentStatus, ReversalState
from shared.payments.paypal.rail import DISPUTES_MAX
from tests.payments.builders import CREDIT, PACK, Shop
from tests.payments.cases import bought
from tests.payments.matrix import NOTHING, WHOLE
from tests.payments.paypal_account import account, look, reference, told
from tests.payments.paypal_bench import PayPalBench


@pytest.fixture
def bench() -> type[PayPalBench]:
    return PayPalBench


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
