"""Every rail against whatever a provider, a network or a thief may do: exact final balances.

The pack is 500 credits with 50 on top. A balance is (paid, promotional) credits of the buyer's wallet.
"""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from shared.payments import rules
from shared.payments.errors import EventRefused
from shared.payments.models import Order, OrderState, PaymentId
from shared.tasks.errors import TasksUnavailable
from tests.images.jobs import Fate, Killed
from tests.payments.builders import CREDIT, PACK, Shop
from tests.payments.stripe_bench import StripeBench

WHOLE = (500, 50)
NOTHING = (0, 0)
TOLERANCE_MS = 300_000
STEPS_MAX = 400
"""More calls of stores than any path makes; a sweep that reaches it does not end."""
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


async def refunded(shop: Shop) -> None:
    order, payment_id = await bought(shop)
    shop.bench.give_back(payment_id, order.money.amount_minor)
    await shop.settle()
    assert shop.kept(order).state is OrderState.REFUNDED


async def refunded_in_parts(shop: Shop) -> None:
    """The parts round, and their sum does not."""
    order, payment_id = await bought(shop)
    for amount_minor in (100, 133, order.money.amount_minor - 233):
        shop.bench.give_back(payment_id, amount_minor)
        await shop.settle()
    assert shop.kept(order).state is OrderState.REFUNDED


async def refunded_before_granted(shop: Shop) -> None:
    order = await shop.order()
    shop.bench.give_back(shop.bench.pay(order), order.money.amount_minor)
    await shop.settle()


async def refund_after_spend(shop: Shop) -> None:
    order, payment_id = await bought(shop)
    await shop.spend(300)
    shop.bench.give_back(payment_id, order.money.amount_minor)
    await shop.settle()


async def refund_failed(shop: Shop) -> None:
    order, payment_id = await bought(shop)
    refund_id = shop.bench.give_back(payment_id, order.money.amount_minor)
    await shop.settle()
    shop.bench.fail_refund(refund_id)
    await shop.settle()
    assert shop.kept(order).state is OrderState.GRANTED


async def dispute_open(shop: Shop) -> None:
    order, payment_id = await bought(shop)
    shop.bench.dispute(payment_id)
    await shop.settle()
    assert shop.kept(order).state is OrderState.DISPUTED
    assert await shop.set_aside() == PACK.credits_micros


async def dispute_won(shop: Shop) -> None:
    order, payment_id = await bought(shop)
    dispute_id = shop.bench.dispute(payment_id)
    await shop.settle()
    shop.bench.decide(dispute_id, won=True)
    await shop.settle()
    assert shop.kept(order).state is OrderState.GRANTED


async def dispute_lost(shop: Shop) -> None:
    order, payment_id = await bought(shop)
    dispute_id = shop.bench.dispute(payment_id)
    await shop.settle()
    shop.bench.decide(dispute_id, won=False)
    await shop.settle()
    assert shop.kept(order).state is OrderState.DISPUTED


async def dispute_lost_after_spend(shop: Shop) -> None:
    _, payment_id = await bought(shop)
    await shop.spend(300)
    dispute_id = shop.bench.dispute(payment_id)
    await shop.settle()
    assert await shop.credits() == NOTHING
    shop.bench.decide(dispute_id, won=False)
    await shop.settle()


async def dispute_lost_learned_at_once(shop: Shop) -> None:
    """Its opening and its end come in the wrong order, and only the end is left to see."""
    _, payment_id = await bought(shop)
    shop.bench.decide(shop.bench.dispute(payment_id), won=False)
    for delivery in reversed(shop.bench.deliveries()):
        await shop.receive([delivery])
        await shop.work()


async def dispute_above_the_price(shop: Shop) -> None:
    order, payment_id = await bought(shop)
    shop.bench.decide(shop.bench.dispute(payment_id, order.money.amount_minor * 3), won=False)
    await shop.settle()
    assert "dispute_differs" in shop.reasons()


async def two_disputes_lost(shop: Shop) -> None:
    """Whatever banks ask for, no more goes back than was bought."""
    _, payment_id = await bought(shop)
    for _ in range(2):
        shop.bench.decide(shop.bench.dispute(payment_id), won=False)
        await shop.settle()


async def lost_then_won_on_appeal(shop: Shop) -> None:
    _, payment_id = await bought(shop)
    dispute_id = shop.bench.dispute(payment_id)
    for won in (False, True):
        shop.bench.decide(dispute_id, won=won)
        await shop.settle()


async def warned(shop: Shop) -> None:
    _, payment_id = await bought(shop)
    await shop.spend(100)
    shop.bench.warn(payment_id)
    await shop.settle()
    assert shop.reasons() == {"fraud_warning"}
    assert await shop.set_aside() == 450 * CREDIT


async def warned_then_refunded(shop: Shop) -> None:
    order, payment_id = await bought(shop)
    shop.bench.warn(payment_id)
    await shop.settle()
    shop.bench.give_back(payment_id, order.money.amount_minor)
    await shop.settle()


async def warned_then_dispute_won(shop: Shop) -> None:
    _, payment_id = await bought(shop)
    shop.bench.warn(payment_id)
    dispute_id = shop.bench.dispute(payment_id)
    await shop.settle()
    shop.bench.decide(dispute_id, won=True)
    await shop.settle()


async def warned_then_dispute_lost(shop: Shop) -> None:
    _, payment_id = await bought(shop)
    shop.bench.warn(payment_id)
    await shop.settle()
    shop.bench.decide(shop.bench.dispute(payment_id), won=False)
    await shop.settle()


MATRIX: dict[Case, tuple[int, int]] = {
    bought: WHOLE,
    duplicate: WHOLE,
    reordered: WHOLE,
    concurrent: WHOLE,
    replayed: NOTHING,
    forged: NOTHING,
    stale: NOTHING,
    future: NOTHING,
    lost_events: WHOLE,
    wrong_amount: NOTHING,
    wrong_currency: NOTHING,
    unknown_status: NOTHING,
    unpaid: NOTHING,
    refunded: NOTHING,
    refunded_in_parts: NOTHING,
    refunded_before_granted: NOTHING,
    refund_after_spend: (-300, 0),
    refund_failed: WHOLE,
    dispute_open: (0, 50),
    dispute_won: WHOLE,
    dispute_lost: NOTHING,
    dispute_lost_after_spend: (-300, 0),
    dispute_lost_learned_at_once: NOTHING,
    dispute_above_the_price: NOTHING,
    two_disputes_lost: NOTHING,
    lost_then_won_on_appeal: WHOLE,
    warned: (0, 0),
    warned_then_refunded: NOTHING,
    warned_then_dispute_won: WHOLE,
    warned_then_dispute_lost: NOTHING,
}
WAITING = {dispute_open, warned}
"""Where credits are still set aside at the end."""


@pytest.mark.parametrize("case", MATRIX, ids=lambda case: case.__name__)
async def test_the_balance_is_exact(shop: Shop, case: Case) -> None:
    """Whatever happens, the wallet ends with what was paid for and not given back."""
    await case(shop)

    assert await shop.credits() == MATRIX[case]
    assert bool(await shop.set_aside()) == (case in WAITING)
    await shop.check_books()


@pytest.mark.parametrize("case", MATRIX, ids=lambda case: case.__name__)
async def test_looking_again_changes_nothing(shop: Shop, case: Case) -> None:
    """Every event that was ever kept is applied once more, backwards, and all at once."""
    await case(shop)
    before = await shop.micros(), await shop.set_aside(), len(shop.ledger_store.entries)

    for told in reversed(shop.told()):
        await shop.run("payment_apply", told)
    await asyncio.gather(*(shop.run("payment_apply", told) for told in shop.told()))

    assert (await shop.micros(), await shop.set_aside(), len(shop.ledger_store.entries)) == before


async def _purchase(shop: Shop) -> PaymentId:
    return shop.bench.pay(await shop.order())


async def _refund(shop: Shop) -> None:
    order, payment_id = await bought(shop)
    await shop.spend(300)
    shop.bench.give_back(payment_id, order.money.amount_minor)


async def _dispute(shop: Shop, *, won: bool | None) -> None:
    _, payment_id = await bought(shop)
    dispute_id = shop.bench.dispute(payment_id)
    await shop.settle()
    if won is not None:
        shop.bench.decide(dispute_id, won=won)


async def _dispute_won(shop: Shop) -> None:
    await _dispute(shop, won=True)


async def _dispute_lost(shop: Shop) -> None:
    await _dispute(shop, won=False)


async def _warning(shop: Shop) -> None:
    _, payment_id = await bought(shop)
    shop.bench.warn(payment_id)


CRASHES: dict[Case, tuple[int, int]] = {
    _purchase: WHOLE,
    _refund: (-300, 0),
    _dispute_won: WHOLE,
    _dispute_lost: NOTHING,
    _warning: (0, 50),
}


@pytest.mark.parametrize("case", CRASHES, ids=lambda case: case.__name__.strip("_"))
async def test_a_death_between_any_two_steps_loses_and_doubles_nothing(bench: type[StripeBench], case: Case) -> None:
    """The process that takes the events or the one that applies them dies at each of its steps, before and after."""
    for dies_at in range(1, STEPS_MAX):
        shop = Shop(bench)
        await shop.open_wallet()
        await case(shop)
        if not await _dies(shop, dies_at):
            break
        assert await shop.credits() == CRASHES[case], f"died at step {dies_at}"
        await shop.check_books()
    assert 20 < dies_at < STEPS_MAX - 1


async def _dies(shop: Shop, dies_at: int) -> bool:
    """The events' way with a death at one step, after which provider and queue try again. False when none happened."""
    fate = Fate(dies_at)
    deliveries = shop.bench.deliveries()
    try:
        for raw, headers in deliveries:
            await fate.live(shop.process(fate).inbox.receive(raw, headers))
        for told in shop.told():
            await fate.live(shop.run("payment_apply", told, fate))
    except (Killed, asyncio.CancelledError):
        # Of several calls at once, those that come after the death are cancelled.
        assert fate.died.is_set()
        await shop.receive(deliveries)
        for told in shop.told():
            await shop.run("payment_apply", told)
        return True
    return False


async def test_an_order_that_is_paid_twice_is_granted_once_and_seen(shop: Shop) -> None:
    """Two payments name one order: the second one's money is there, and a person gives it back."""
    order, _ = await bought(shop)
    shop.bench.claim(shop.bench.pay(await shop.order()), order)

    await shop.settle()

    assert await shop.credits() == WHOLE
    assert shop.reasons() == {"paid_twice"}


async def test_a_payment_of_another_rail_is_granted_nothing(shop: Shop) -> None:
    """Whatever a rail shows is an order of that rail, or none."""
    order = await shop.order()
    seen = await shop.bench.rail(lambda inner: inner).look(shop.bench.subject(shop.bench.pay(order)))
    assert seen is not None

    review = rules.flaw(shop.kept(order), replace(seen, rail="another"))

    assert review is not None
    assert review.reason == "wrong_rail"


async def test_an_event_that_was_kept_and_not_queued_is_queued_when_it_comes_again(shop: Shop) -> None:
    """The provider was not answered, so it sends the event again; that it is kept already must not end its way."""
    shop.bench.pay(await shop.order())
    deliveries = shop.bench.deliveries()
    shop.queues.fails_before = True
    for delivery in deliveries:
        with pytest.raises(TasksUnavailable):
            await shop.receive([delivery])
    shop.queues.fails_before = False

    await shop.receive(deliveries)
    await shop.work()

    assert await shop.credits() == WHOLE
