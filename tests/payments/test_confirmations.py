"""What browsers bring back from Razorpay's checkout: a quicker look, and nothing that could be had otherwise."""

import asyncio

import pytest
from msgspec.structs import replace

from local.razorpay.wire import sign_payment
from shared.base.ids import UserId
from shared.base.secret import Secret
from shared.payments.confirmations import Confirmations
from shared.payments.errors import ConfirmationRefused, OrderAbsent
from shared.payments.models import Order, OrderState, RailName
from shared.payments.razorpay.confirmation import RazorpayConfirmation
from tests.images.jobs import Fate
from tests.payments.bench import Bench
from tests.payments.builders import BUYER, Shop
from tests.payments.matrix import NOTHING, WHOLE
from tests.payments.razorpay_bench import RazorpayBench
from tests.payments.stripe_bench import StripeBench

KEY_SECRET = "key_secret"


@pytest.fixture
def bench() -> type[Bench]:
    return RazorpayBench


def confirmations(shop: Shop) -> Confirmations:
    reader = RazorpayConfirmation(Secret(KEY_SECRET))
    return Confirmations(shop.store, reader, shop.process().applier)


def signed(order: Order, payment_id: str, secret: str = KEY_SECRET) -> str:
    assert order.checkout is not None
    return sign_payment(order.checkout.reference, payment_id, secret)


async def confirm(shop: Shop, order: Order, payment_id: str, signature: str | None = None) -> Order:
    signature = signed(order, payment_id) if signature is None else signature
    return await confirmations(shop).confirm(BUYER, order.order_id, payment_id, signature)


async def test_a_confirmed_payment_is_granted_at_once(shop: Shop) -> None:
    order = await shop.order()

    after = await confirm(shop, order, shop.bench.pay(order))

    assert (after.state, await shop.credits()) == (OrderState.GRANTED, WHOLE)
    assert after.invoice


async def test_with_its_events_and_repeats_it_is_granted_once(shop: Shop) -> None:
    """Callback, payment.captured and order.paid, all of them twice and at once."""
    order = await shop.order()
    payment_id = shop.bench.pay(order)
    await shop.receive(shop.bench.deliveries())

    told = [shop.run("payment_apply", told) for told in shop.told() * 2]
    await asyncio.gather(*told, *(confirm(shop, order, payment_id) for _ in range(3)))
    await confirm(shop, order, payment_id)

    assert await shop.credits() == WHOLE
    await shop.check_books()


async def test_after_a_refund_it_grants_nothing(shop: Shop) -> None:
    order = await shop.order()
    payment_id = shop.bench.pay(order)
    await confirm(shop, order, payment_id)
    shop.bench.give_back(payment_id, order.money.amount_minor)

    after = await confirm(shop, order, payment_id)

    assert (after.state, await shop.credits()) == (OrderState.REFUNDED, NOTHING)


async def test_a_forged_confirmation_is_refused(shop: Shop) -> None:
    """Also one over the payment alone, or over the halves in another order."""
    order = await shop.order()
    payment_id = shop.bench.pay(order)
    assert order.checkout is not None
    good = signed(order, payment_id)
    forged = [
        "",
        "0" * 64,
        good.upper(),
        good[:-1],
        "é" * 64,
        signed(order, payment_id, "guess"),
        signed(order, payment_id, ""),
        sign_payment("", payment_id, KEY_SECRET),
        sign_payment(payment_id, order.checkout.reference, KEY_SECRET),
    ]
    for signature in forged:
        with pytest.raises(ConfirmationRefused):
            await confirm(shop, order, payment_id, signature)
    assert await shop.credits() == NOTHING


async def test_a_payment_of_one_order_confirms_no_other(shop: Shop) -> None:
    """The thief has paid the first honestly, and shows its signature for the second."""
    first, second = await shop.order(), await shop.order()
    payment_id = shop.bench.pay(first)

    for payment, signature in ((payment_id, signed(first, payment_id)), ("pay_x", signed(first, payment_id))):
        with pytest.raises(ConfirmationRefused):
            await confirm(shop, second, payment, signature)

    assert shop.kept(second).state is OrderState.PENDING
    assert await shop.credits() == NOTHING


async def test_a_rightly_signed_pair_that_the_rail_does_not_show_grants_nothing(shop: Shop) -> None:
    """Should the key's secret leak: what is granted is still what Razorpay shows of the payment."""
    first, second = await shop.order(), await shop.order()
    payment_id = shop.bench.pay(first)

    after = await confirm(shop, second, payment_id)

    assert after.state is OrderState.PENDING
    assert (shop.kept(first).state, await shop.credits()) == (OrderState.GRANTED, WHOLE)


async def test_somebody_elses_order_is_none(shop: Shop) -> None:
    order = await shop.order()
    payment_id = shop.bench.pay(order)

    with pytest.raises(OrderAbsent):
        await confirmations(shop).confirm(UserId("eve"), order.order_id, payment_id, signed(order, payment_id))
    assert await shop.credits() == NOTHING


@pytest.mark.parametrize(
    "payment_id", ["", "order_1", "pay_", "pay_1/refund", "pay_1|x", "../orders", "pay_" + "x" * 41]
)
async def test_what_is_no_payment_is_not_asked_for(shop: Shop, payment_id: str) -> None:
    order = await shop.order()

    with pytest.raises(ConfirmationRefused):
        await confirm(shop, order, payment_id)


async def test_an_order_of_another_rail_is_not_confirmed() -> None:
    shop = Shop(StripeBench)
    await shop.open_wallet()
    order = await shop.order()

    assert order.rail is not RailName.RAZORPAY
    with pytest.raises(ConfirmationRefused):
        await confirm(shop, order, "pay_1")


async def test_one_that_was_not_begun_is_not_confirmed(shop: Shop) -> None:
    """Its reference would be nothing at all."""
    order = await shop.order()
    kept = shop.store.orders[order.order_id]
    await shop.store.replace(kept, replace(order, checkout=None))

    with pytest.raises(ConfirmationRefused):
        await confirm(shop, order, "pay_1", sign_payment("None", "pay_1", KEY_SECRET))


async def test_a_death_while_confirming_is_made_good_by_the_event(shop: Shop) -> None:
    for dies_at in range(1, 60):
        shop = Shop(RazorpayBench)
        await shop.open_wallet()
        order = await shop.order()
        payment_id, fate = shop.bench.pay(order), Fate(dies_at)
        reader = RazorpayConfirmation(Secret(KEY_SECRET))
        confirming = Confirmations(shop.store, reader, shop.process(fate).applier)
        told = confirming.confirm(BUYER, order.order_id, payment_id, signed(order, payment_id))
        await asyncio.gather(fate.live(told), return_exceptions=True)
        await shop.settle()
        assert await shop.credits() == WHOLE, f"died at step {dies_at}"


@pytest.mark.parametrize("secret", ["", " "])
def test_an_empty_secret_is_none(secret: str) -> None:
    with pytest.raises(ValueError, match="RAZORPAY_KEY_SECRET"):
        RazorpayConfirmation(Secret(secret))


async def test_a_payment_that_is_not_there_is_left_to_a_person(shop: Shop) -> None:
    order = await shop.order()

    after = await confirm(shop, order, "pay_none")

    assert after.state is OrderState.PENDING
    assert shop.reasons() == {"object_unknown"}
