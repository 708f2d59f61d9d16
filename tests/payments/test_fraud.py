"""Thieves at the checkout: cards that are tried out, shared and stolen, and refunds in a loop."""

import asyncio
from collections.abc import Sequence

import pytest

from shared.base.ids import AccountId, UserId
from shared.payments.errors import OrderHeld, PaymentsUnavailable, RailUnavailable, RefundRefused, ReviewResolved
from shared.payments.held import HeldOrders
from shared.payments.holds import Holds
from shared.payments.models import Order, OrderState, PaymentId
from shared.payments.reviews import Reviews, Verdict
from shared.risk.errors import CheckoutTooOften, RiskUnavailable
from shared.risk.limits import (
    CARD_USERS_MAX,
    CHECKOUT_LIMITS,
    DECLINES_PER_CHECKOUT_MAX,
    HOUR_MS,
    REFUNDS_PER_YEAR_MAX,
)
from shared.risk.models import ClientClaim, Decision, SignalKind, Subject
from shared.tasks.service import Tasks
from tests.images.jobs import Fate, Killed
from tests.ledger.builders import opened
from tests.payments.builders import BUYER, CREDIT, PACK, Process, Shop
from tests.payments.cases import bought
from tests.payments.crashes import STEPS_MAX
from tests.payments.matrix import NOTHING, WHOLE
from tests.payments.stripe_bench import StripeBench
from tests.payments.waiting import MemoryReviews

USER_ORDERS_MAX = CHECKOUT_LIMITS[SignalKind.USER][0].marks_max
ADDRESS_ORDERS_MAX = CHECKOUT_LIMITS[SignalKind.ADDRESS][0].marks_max
THIEF = ClientClaim("198.51.100.1, 203.0.113.7", "")


class StripeShop(Shop):
    """Whose bench shows cards."""

    bench: StripeBench

    def __init__(self) -> None:
        super().__init__(StripeBench)


@pytest.fixture
async def shop() -> StripeShop:
    """Of cards, so at Stripe."""
    made = StripeShop()
    await made.open_wallet()
    return made


async def checkout(shop: StripeShop, user: str, key: str, client: ClientClaim = THIEF) -> Order:
    orders = shop.process().orders
    return await orders.checkout(UserId(user), shop.bench.name, PACK.pack_id, "USD", key=key, client=client)


async def accounts(shop: StripeShop, count: int) -> list[str]:
    """Accounts of as many thieves."""
    names = [f"thief{number}" for number in range(count)]
    await opened(shop.ledger_store, accounts=tuple(AccountId(f"user:{name}") for name in names))
    return names


def reference(order: Order) -> str:
    assert order.checkout is not None
    return order.checkout.reference


def pay(shop: StripeShop, order: Order, card: str) -> PaymentId:
    return PaymentId(shop.bench.account.pay(reference(order), card=card)["id"])


async def balance(shop: StripeShop, user: str) -> int:
    return (await shop.process().ledger.head(AccountId(f"user:{user}"))).balance_micros


async def decisions(shop: StripeShop, subject: str) -> Sequence[Decision]:
    record = (await shop.risk_store.record(Subject(subject))).record
    return record.decisions if record else ()


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


async def paid_with_a_shared_card(shop: StripeShop) -> tuple[list[str], Order, PaymentId]:
    """One card on one account more than a family has; the last one's order, of which nothing is done yet."""
    users = await accounts(shop, CARD_USERS_MAX + 1)
    for number, user in enumerate(users):
        await shop.settle()
        order = await checkout(shop, user, "k", ClientClaim(f"203.0.113.{number}"))
        payment_id = pay(shop, order, "stolen")
    await shop.receive(shop.bench.deliveries())
    return users, order, payment_id


async def shared(shop: StripeShop) -> tuple[list[str], Order, PaymentId]:
    """The same, and it is done."""
    users, order, payment_id = await paid_with_a_shared_card(shop)
    await shop.work()
    return users, shop.kept(order), payment_id


async def test_a_card_on_too_many_accounts_buys_nothing_until_a_person_has_looked(shop: StripeShop) -> None:
    users, order, _ = await shared(shop)

    assert [await balance(shop, user) for user in users] == [550 * CREDIT] * CARD_USERS_MAX + [0]
    assert shop.reasons() == {"card_shared"}
    assert (order.state, order.is_held) == (OrderState.PAID, True)
    assert await shop.set_aside() == 550 * CREDIT
    assert [(one.rule, one.outcome, one.by) for one in await decisions(shop, f"order:{order.order_id}")] == [
        ("card_shared", "set aside", "rule")
    ]
    before = len(shop.ledger_store.entries)
    for told in shop.told():
        await shop.run("payment_apply", told)
    assert len(shop.ledger_store.entries) == before
    await shop.check_books()


def held_orders(shop: StripeShop, process: Process) -> HeldOrders:
    holds = Holds(process.store, process.risk)
    return HeldOrders(process.store, holds, MemoryReviews(shop.store), process.applier, shop.clock)


def reviews_of(shop: StripeShop) -> Reviews:
    holds = Holds(shop.store, shop.process().risk)
    return Reviews(MemoryReviews(shop.store), holds, Tasks(shop.queues, "http://{function}", shop.clock), shop.clock)


async def test_what_an_operator_lets_go_is_the_buyers_once(shop: StripeShop) -> None:
    users, order, _ = await shared(shop)
    held = held_orders(shop, shop.process())

    for _ in range(3):
        after = await held.release(order.order_id, operator="service:op", reason="a family of four")
    for told in shop.told():
        await shop.run("payment_apply", told)

    assert after.state is OrderState.GRANTED
    assert await balance(shop, users[-1]) == 550 * CREDIT
    assert await shop.set_aside() == 0
    assert [(one.rule, one.by) for one in await decisions(shop, f"order:{order.order_id}")] == [
        ("card_shared", "rule"),
        ("hold_release", "service:op"),
    ]
    await shop.check_books()


async def test_to_dismiss_the_doubt_about_a_card_is_to_release_its_order(shop: StripeShop) -> None:
    users, order, _ = await shared(shop)
    reviews = reviews_of(shop)
    [asked] = await MemoryReviews(shop.store).open(None)

    for _ in range(2):
        await reviews.resolve(asked.review_id, Verdict.DISMISSED, by="service:op", why="a family of four")
    await shop.work()

    assert await balance(shop, users[-1]) == 550 * CREDIT
    assert await shop.set_aside() == 0
    assert await MemoryReviews(shop.store).open(None) == []
    assert [(one.rule, one.outcome) for one in await decisions(shop, f"order:{order.order_id}")][-1] == (
        "hold_release",
        "a family of four",
    )
    await shop.check_books()


async def test_to_release_an_order_closes_the_question_about_its_card(shop: StripeShop) -> None:
    _, order, _ = await shared(shop)
    reviews = reviews_of(shop)
    [asked] = await MemoryReviews(shop.store).open(None)

    await held_orders(shop, shop.process()).release(order.order_id, operator="service:op", reason="a family")

    assert await MemoryReviews(shop.store).open(None) == []
    kept = await reviews.resolve(asked.review_id, Verdict.DISMISSED, by="service:op", why="a family")
    assert kept.decision is not None
    with pytest.raises(ReviewResolved):
        await reviews.resolve(asked.review_id, Verdict.DONE, by="service:op", why="another")


@pytest.mark.parametrize("verdict", [Verdict.DONE, Verdict.LOOK_AGAIN])
async def test_no_decision_leaves_held_credits_waiting_for_nobody(shop: StripeShop, verdict: Verdict) -> None:
    _, order, _ = await shared(shop)
    reviews = reviews_of(shop)
    [asked] = await MemoryReviews(shop.store).open(None)

    with pytest.raises(OrderHeld):
        await reviews.resolve(asked.review_id, verdict, by="service:op", why="x")
    await shop.process().refunds.any(order.order_id, None, operator="service:op", reason="stolen", key="1")
    await shop.settle()

    await reviews.resolve(asked.review_id, Verdict.DONE, by="service:op", why="paid back")
    assert await MemoryReviews(shop.store).open(None) == []
    assert await shop.set_aside() == 0


async def test_what_an_operator_refuses_goes_back_and_leaves_no_debt(shop: StripeShop) -> None:
    users, order, _ = await shared(shop)

    after = await shop.process().refunds.any(order.order_id, None, operator="service:op", reason="stolen", key="1")
    await shop.settle()

    assert after.state is OrderState.REFUNDED
    assert await balance(shop, users[-1]) == 0
    assert await shop.set_aside() == 0
    await shop.check_books()


@pytest.mark.parametrize("won", [True, False])
async def test_a_dispute_about_what_is_held_touches_no_other_credits(shop: StripeShop, won: bool) -> None:
    """While it is open nothing of the buyer's own is set aside; lost it is gone, won it still waits."""
    users, order, payment_id = await shared(shop)
    dispute_id = shop.bench.dispute(payment_id)
    await shop.settle()
    assert await shop.set_aside() == 550 * CREDIT

    shop.bench.decide(dispute_id, won=won)
    await shop.settle()

    assert await balance(shop, users[-1]) == 0
    assert await shop.set_aside() == (550 * CREDIT if won else 0)
    assert shop.kept(order).state is (OrderState.PAID if won else OrderState.DISPUTED)
    await shop.check_books()


async def test_accounts_that_pay_with_one_card_at_the_same_moment_are_as_many_as_may(shop: StripeShop) -> None:
    users = await accounts(shop, CARD_USERS_MAX * 2)
    orders = [await checkout(shop, user, "k", ClientClaim(f"203.0.113.{n}")) for n, user in enumerate(users)]
    for order in orders:
        pay(shop, order, "stolen")
    await shop.receive(shop.bench.deliveries())

    await asyncio.gather(*(shop.run("payment_apply", told) for told in shop.told()))

    assert sorted([await balance(shop, user) for user in users]) == [0] * CARD_USERS_MAX + [550 * CREDIT] * 3
    assert sum(shop.kept(order).is_held for order in orders) == CARD_USERS_MAX


async def test_a_card_that_its_bank_warned_of_buys_nothing_more_unseen(shop: StripeShop) -> None:
    """Nor for anybody else; and both are told by which rule."""
    order = await checkout(shop, BUYER, "k")
    shop.bench.warn(pay(shop, order, "stolen"))
    await shop.settle()
    (thief,) = await accounts(shop, 1)

    second = await checkout(shop, thief, "k")
    pay(shop, second, "stolen")
    await shop.settle()

    assert await balance(shop, thief) == 0
    assert shop.reasons() == {"fraud_warning", "card_fraud"}
    assert [one.rule for one in await decisions(shop, f"order:{second.order_id}")] == ["card_fraud"]
    assert [one.rule for one in await decisions(shop, f"order:{order.order_id}")] == ["warning_open"]


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


async def test_nothing_is_granted_while_it_cannot_be_told_whose_card_it_is(shop: StripeShop) -> None:
    """Fail closed: the task comes back, and then all is granted."""
    pay(shop, await checkout(shop, BUYER, "k"), "own")
    await shop.receive(shop.bench.deliveries())
    shop.risk_store.is_down = True
    for told in shop.told():
        with pytest.raises(RiskUnavailable):
            await shop.run("payment_apply", told)
    assert await shop.credits() == NOTHING
    shop.risk_store.is_down = False

    await shop.work()

    assert await shop.credits() == WHOLE


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


async def test_what_an_outage_let_go_is_counted_once_it_can_be_paid(
    shop: StripeShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thief who orders while the provider is down cannot pay for all of it afterwards."""

    async def fail(*_: object, **__: object) -> None:
        raise RailUnavailable("Stripe")

    keys = [f"k{number}" for number in range(USER_ORDERS_MAX + 1)]
    with monkeypatch.context() as outage:
        outage.setattr(shop.bench.api, "post", fail)
        for key in keys:
            with pytest.raises(RailUnavailable):
                await checkout(shop, BUYER, key)

    for key in keys[:-1]:
        await checkout(shop, BUYER, key)
    with pytest.raises(CheckoutTooOften):
        await checkout(shop, BUYER, keys[-1])


async def test_a_card_that_was_declined_too_often_buys_nothing_unseen_when_it_works_at_last(shop: StripeShop) -> None:
    """Its number is known to the thief, and the rest was guessed on several accounts."""
    users = await accounts(shop, 6)
    for number, user in enumerate(users[:-1]):
        order = await checkout(shop, user, "k", ClientClaim(f"203.0.113.{number}"))
        shop.bench.account.decline(reference(order), card="guessed")
    last = await checkout(shop, users[-1], "k", ClientClaim("203.0.114.1"))
    pay(shop, last, "guessed")

    await shop.settle()

    assert await balance(shop, users[-1]) == 0
    assert shop.reasons() == {"card_declines"}


@pytest.mark.slow
async def test_a_death_between_any_two_steps_neither_frees_nor_loses_what_is_held(shop: StripeShop) -> None:
    """Nor when an operator lets it go."""
    for dies_at in range(1, STEPS_MAX):
        shop = StripeShop()
        users, order, _ = await paid_with_a_shared_card(shop)
        fate = Fate(dies_at)
        told = shop.told()[-3:]
        try:
            for one in told:
                await fate.live(shop.run("payment_apply", one, fate))
            process = shop.process(fate)
            held = held_orders(shop, process)
            await fate.live(held.release(order.order_id, operator="service:op", reason="x"))
        except (Killed, asyncio.CancelledError):
            for one in told:
                await shop.run("payment_apply", one)
            assert await balance(shop, users[-1]) + await shop.set_aside() == 550 * CREDIT, f"died at {dies_at}"
            await held_orders(shop, shop.process()).release(order.order_id, operator="service:op", reason="x")
        assert await balance(shop, users[-1]) == 550 * CREDIT
        assert await shop.set_aside() == 0
        await shop.check_books()
        if not fate.died.is_set():
            break
    assert 20 < dies_at < STEPS_MAX - 1


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
