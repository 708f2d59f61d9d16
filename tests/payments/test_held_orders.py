"""What was bought with a doubtful card is held until a person has looked, and then the buyer's or nobody's."""

import asyncio

import pytest

from shared.payments.errors import OrderHeld, RailUnavailable, ReviewResolved
from shared.payments.held import HeldOrders
from shared.payments.holds import Holds
from shared.payments.models import Order, OrderState, PaymentId
from shared.payments.reviews import Reviews, Verdict
from shared.risk.errors import CheckoutTooOften, RiskUnavailable
from shared.risk.limits import (
    CARD_USERS_MAX,
)
from shared.risk.models import ClientClaim
from shared.tasks.service import Tasks
from tests.images.jobs import Fate, Killed
from tests.payments.builders import BUYER, CREDIT, Process
from tests.payments.crashes import STEPS_MAX
from tests.payments.matrix import NOTHING, WHOLE
from tests.payments.thieves import USER_ORDERS_MAX, StripeShop, accounts, balance, checkout, decisions, pay, reference
from tests.payments.waiting import MemoryReviews


@pytest.fixture
async def shop() -> StripeShop:
    """Of cards, so at Stripe."""
    made = StripeShop()
    await made.open_wallet()
    return made


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
    """The same, once its event is applied: the order is held."""
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
