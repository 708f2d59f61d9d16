"""Thieves at the checkout: cards that are tried out, shared and stolen, and refunds in a loop."""

import asyncio

import pytest

from shared.base.ids import AccountId
from shared.payments.errors import PaymentsUnavailable, RailUnavailable, RefundRefused
from shared.payments.models import Order, OrderState
from shared.risk.errors import CheckoutTooOften
from shared.risk.limits import (
    CHECKOUT_LIMITS,
    DECLINES_PER_CHECKOUT_MAX,
    HOUR_MS,
    REFUNDS_PER_YEAR_MAX,
)
from shared.risk.models import ClientClaim, SignalKind
from tests.ledger.builders import opened
from tests.payments.builders import BUYER, PACK
from tests.payments.cases import bought
from tests.payments.matrix import NOTHING, WHOLE
from tests.payments.thieves import USER_ORDERS_MAX, StripeShop, accounts, checkout, decisions, pay, reference

ADDRESS_ORDERS_MAX = CHECKOUT_LIMITS[SignalKind.ADDRESS][0].marks_max


@pytest.fixture
async def shop() -> StripeShop:
    """Of cards, so at Stripe."""
    made = StripeShop()
    await made.open_wallet()
    return made


async def test_one_user_orders_no_more_than_the_limit_and_is_told_how_long_to_wait(shop: StripeShop) -> None:
    for number in range(USER_ORDERS_MAX):
        await checkout(shop, BUYER, f"k{number}")

    with pytest.raises(CheckoutTooOften) as refused:
        await checkout(shop, BUYER, "one-more")

    assert refused.value.details() == {"reason": "user_orders", "retry_after_ms": HOUR_MS}
    assert [(one.rule, one.outcome) for one in await decisions(shop, f"user:{BUYER}")] == [
        ("user_orders", "checkout refused")
    ]
    shop.clock.now_ms += HOUR_MS
    assert (await checkout(shop, BUYER, "one-more")).state is OrderState.PENDING


async def test_a_repeat_of_an_order_counts_once_and_is_answered_beyond_the_limit(shop: StripeShop) -> None:
    for number in range(USER_ORDERS_MAX):
        for _ in range(3):
            await checkout(shop, BUYER, f"k{number}")

    assert (await checkout(shop, BUYER, "k0")).state is OrderState.PENDING


async def test_orders_at_the_same_moment_do_not_get_past_the_limit(shop: StripeShop) -> None:
    asked = (checkout(shop, BUYER, f"k{number}") for number in range(USER_ORDERS_MAX * 2))
    made = await asyncio.gather(*asked, return_exceptions=True)

    assert sum(isinstance(one, Order) for one in made) == USER_ORDERS_MAX
    assert len(shop.store.orders) == USER_ORDERS_MAX


async def test_many_accounts_from_one_address_share_its_limit_whatever_else_they_forward(shop: StripeShop) -> None:
    """A thief sends a header of their own with each request; ours is read from the end that Google writes."""
    users = await accounts(shop, ADDRESS_ORDERS_MAX + 1)
    spoofed = [ClientClaim(f"198.51.100.{number}, 10.0.0.1, 203.0.113.7") for number in range(len(users))]
    for user, client in zip(users[:-1], spoofed, strict=False):
        await checkout(shop, user, "k", client)

    with pytest.raises(CheckoutTooOften) as refused:
        await checkout(shop, users[-1], "k", spoofed[-1])

    assert refused.value.refusal.rule == "address_orders"
    assert (await checkout(shop, users[-1], "k", ClientClaim("203.0.113.8"))).state is OrderState.PENDING


async def test_many_accounts_on_one_device_share_its_limit(shop: StripeShop) -> None:
    users = await accounts(shop, USER_ORDERS_MAX + 1)
    for number, user in enumerate(users[:-1]):
        await checkout(shop, user, "k", ClientClaim(f"203.0.113.{number}", "device-of-a-thief"))

    with pytest.raises(CheckoutTooOften) as refused:
        await checkout(shop, users[-1], "k", ClientClaim("203.0.114.1", "device-of-a-thief"))

    assert refused.value.refusal.rule == "device_orders"


async def test_of_an_address_or_a_device_nothing_readable_is_kept(shop: StripeShop) -> None:
    await checkout(shop, BUYER, "k", ClientClaim("203.0.113.7", "device-of-ada"))

    kept = repr(shop.risk_store.kept) + repr(shop.risk_store.orders)

    assert "203.0.113.7" not in kept
    assert "device-of-ada" not in kept


async def test_a_provider_that_is_down_locks_nobody_out(shop: StripeShop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could be paid nowhere does not count."""

    async def fail(*_: object, **__: object) -> None:
        raise RailUnavailable("Stripe")

    with monkeypatch.context() as outage:
        outage.setattr(shop.bench.api, "post", fail)
        for number in range(USER_ORDERS_MAX * 3):
            with pytest.raises(RailUnavailable):
                await checkout(shop, BUYER, f"down{number}")

    for number in range(USER_ORDERS_MAX):
        await checkout(shop, BUYER, f"up{number}")


async def test_declined_cards_count_on_the_buyer_and_the_address_and_once(shop: StripeShop) -> None:
    """A thief who tries one card per order is stopped before the orders are used up; events told twice count once."""
    orders = [await checkout(shop, BUYER, f"k{number}") for number in range(5)]
    for number, order in enumerate(orders[:4]):
        shop.bench.account.decline(reference(order), card=f"stolen{number}")
        await shop.settle()
    for told in shop.told():
        await shop.run("payment_apply", told)
    await checkout(shop, BUYER, "still")

    shop.bench.account.decline(reference(orders[4]), card="stolen4")
    await shop.settle()

    with pytest.raises(CheckoutTooOften) as refused:
        await checkout(shop, BUYER, "no-more")
    assert refused.value.refusal.rule == "user_declines"
    (other,) = await accounts(shop, 1)
    for number in range(5):
        shop.bench.account.decline(reference(await checkout(shop, other, f"o{number}")), card=f"other{number}")
    await shop.settle()
    await opened(shop.ledger_store, accounts=(AccountId("user:third"),))
    with pytest.raises(CheckoutTooOften) as refused:
        await checkout(shop, "third", "k")
    assert refused.value.refusal.rule == "address_declines"


async def test_a_checkout_on_which_cards_are_tried_out_is_closed(shop: StripeShop) -> None:
    """One page takes any number of cards, and asks us for none of them."""
    order = await checkout(shop, BUYER, "k")
    for number in range(DECLINES_PER_CHECKOUT_MAX):
        shop.bench.account.decline(reference(order), card=f"stolen{number}")
        await shop.settle()

    await shop.settle()

    assert shop.kept(order).state is OrderState.EXPIRED
    assert shop.kept(order).declines == DECLINES_PER_CHECKOUT_MAX
    assert ("checkout_declines", "checkout closed") in [
        (one.rule, one.outcome) for one in await decisions(shop, f"order:{order.order_id}")
    ]


async def test_who_was_declined_and_then_pays_gets_what_they_paid_for(shop: StripeShop) -> None:
    order = await checkout(shop, BUYER, "k")
    shop.bench.account.decline(reference(order), card="empty")
    await shop.settle()

    pay(shop, order, "own")
    await shop.settle()

    assert await shop.credits() == WHOLE


async def test_every_turn_of_a_dispute_is_on_the_record(shop: StripeShop) -> None:
    order, payment_id = await bought(shop)
    dispute_id = shop.bench.dispute(payment_id)
    await shop.settle()
    shop.bench.decide(dispute_id, won=False)
    await shop.settle()
    for told in shop.told():
        await shop.run("payment_apply", told)

    assert [(one.rule, one.outcome) for one in await decisions(shop, f"order:{order.order_id}")] == [
        ("dispute_open", "unspent credits set aside"),
        ("dispute_taken", "credits taken back"),
    ]


async def test_buying_and_giving_back_in_a_loop_ends_with_the_policy(shop: StripeShop) -> None:
    """Each time whole and untouched, and still no more often in a year than the policy says."""
    for _ in range(REFUNDS_PER_YEAR_MAX):
        order, _ = await bought(shop)
        await shop.process().refunds.own(BUYER, order.order_id)
    last, _ = await bought(shop)

    with pytest.raises(RefundRefused, match="in a year"):
        await shop.process().refunds.own(BUYER, last.order_id)

    assert await shop.credits() == WHOLE
    by_operator = await shop.process().refunds.any(last.order_id, None, operator="service:op", reason="x", key="1")
    assert by_operator.state is OrderState.REFUNDED


async def test_refunds_at_the_same_moment_do_not_get_past_the_policy(shop: StripeShop) -> None:
    orders = [(await bought(shop))[0] for _ in range(REFUNDS_PER_YEAR_MAX * 2)]

    asked = (shop.process().refunds.own(BUYER, order.order_id) for order in orders)
    ended = await asyncio.gather(*asked, return_exceptions=True)

    assert sum(isinstance(one, Order) for one in ended) <= REFUNDS_PER_YEAR_MAX
    given_back = [order for order in orders if shop.kept(order).reversals]
    assert len(given_back) <= REFUNDS_PER_YEAR_MAX


async def test_a_dispute_of_an_unknown_status_waits_for_a_person(shop: StripeShop) -> None:
    """Stripe's `prevented` for one: nothing is taken and nothing given back, and somebody looks."""
    _, payment_id = await bought(shop)
    dispute_id = shop.bench.dispute(payment_id)
    shop.bench.account.decide(dispute_id, "prevented")

    await shop.settle()

    assert await shop.credits() == (0, 50)
    assert await shop.set_aside() == PACK.credits_micros
    assert shop.reasons() == {"unknown_dispute_status"}


async def test_without_a_store_no_event_is_applied(shop: StripeShop) -> None:
    """Whether it came before cannot be told then, so it comes again and is applied once."""
    pay(shop, await checkout(shop, BUYER, "k"), "own")
    await shop.receive(shop.bench.deliveries())
    shop.store.is_down = True
    for told in shop.told() * 2:
        with pytest.raises(PaymentsUnavailable):
            await shop.run("payment_apply", told)
    assert await shop.credits() == NOTHING
    shop.store.is_down = False

    await shop.work()

    assert await shop.credits() == WHOLE
