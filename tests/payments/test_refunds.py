"""Refunds that buyers and operators ask for."""

import asyncio
from typing import Any

import pytest

from shared.base.economy import PACK_BONUS_LIFETIME_MS, REFUND_WINDOW_MS
from shared.base.ids import UserId
from shared.ledger.administration import Administration
from shared.ledger.errors import KeyReused
from shared.payments.applier import REFUND_LOOK_MS
from shared.payments.errors import OrderAbsent, RailRefused, RefundRefused
from shared.payments.models import Order, OrderState
from tests.images.jobs import Fate, Killed
from tests.ledger.builders import engine_on
from tests.payments.bench import Bench
from tests.payments.builders import BENCHES, BUYER, CREDIT, PACK, WALLET, Shop
from tests.payments.cases import bought
from tests.payments.crashes import STEPS_MAX
from tests.payments.matrix import NOTHING, WHOLE
from tests.payments.reversal_cases import PART_MINOR

LATER_MS = REFUND_LOOK_MS + 120_000
GIVE_BACK = [bench for bench in BENCHES if "refunded" not in bench.absent]


@pytest.fixture(params=GIVE_BACK, ids=[bench.name.value for bench in GIVE_BACK])
def bench(request: pytest.FixtureRequest) -> type[Bench]:
    """Rails on which money can go back."""
    kind: type[Bench] = request.param
    return kind


async def refused(shop: Shop, order: Order) -> str:
    with pytest.raises(RefundRefused) as refusal:
        await shop.process().refunds.own(BUYER, order.order_id)
    return refusal.value.reason


async def test_an_untouched_order_goes_back_whole(shop: Shop) -> None:
    order, _ = await bought(shop)

    after = await shop.process().refunds.own(BUYER, order.order_id)

    assert after.state is OrderState.REFUNDED
    assert await shop.credits() == NOTHING
    await shop.settle()
    assert await shop.credits() == NOTHING
    assert await shop.set_aside() == 0
    await shop.check_books()


async def test_a_repeat_gives_nothing_more_back(shop: Shop) -> None:
    order, _ = await bought(shop)

    for _ in range(3):
        await shop.process().refunds.own(BUYER, order.order_id)

    assert len(shop.kept(order).reversals) == 1


async def test_what_is_spent_does_not_go_back(shop: Shop) -> None:
    """The bonus counts: it is spent first."""
    order, _ = await bought(shop)
    await shop.spend(1)

    assert await refused(shop, order) == "spent"
    assert await shop.credits() == (500, 49)


async def expire_bonus(shop: Shop) -> None:
    """A year passes, and the timer sweeps what expired."""
    shop.clock.now_ms += PACK_BONUS_LIFETIME_MS
    engine = engine_on(shop.ledger_store)
    await Administration(engine, shop.ledger_store, shop.clock).expire(WALLET, shop.clock())


async def test_a_bonus_that_expired_is_not_owed(shop: Shop) -> None:
    """What was lost to time was nobody's gain: only the credits that were paid for go back, and no other bonus."""
    order, payment_id = await bought(shop)
    await expire_bonus(shop)
    await shop.process().ledger.grant_promo(WALLET, 7 * CREDIT, lifetime_ms=LATER_MS, key="a gift", facts={})

    shop.bench.give_back(payment_id, order.money.amount_minor)
    await shop.settle()

    assert shop.kept(order).state is OrderState.REFUNDED
    assert await shop.credits() == (0, 7)
    await shop.check_books()


async def test_of_a_bonus_only_the_part_is_taken_that_went_back_in_time(shop: Shop) -> None:
    order, payment_id = await bought(shop)
    shop.bench.give_back(payment_id, PART_MINOR)
    await shop.settle()
    [in_time] = shop.kept(order).reversals.values()
    await expire_bonus(shop)

    shop.bench.give_back(payment_id, order.money.amount_minor - PART_MINOR)
    await shop.settle()

    [late] = [one for one in shop.kept(order).reversals.values() if one != in_time]
    assert in_time.bonus_micros > late.bonus_micros == 0
    assert in_time in shop.kept(order).reversals.values()
    assert await shop.credits() == NOTHING
    await shop.check_books()


async def test_after_two_weeks_nothing_goes_back(shop: Shop) -> None:
    order, _ = await bought(shop)
    shop.clock.now_ms += REFUND_WINDOW_MS + 1

    assert await refused(shop, order) == "too_late"


async def test_an_order_that_is_not_paid_or_is_disputed_does_not_go_back(shop: Shop) -> None:
    unpaid = await shop.order()
    order, payment_id = await bought(shop)
    shop.bench.dispute(payment_id)
    await shop.settle()

    assert [await refused(shop, one) for one in (unpaid, order)] == ["not_paid", "not_paid"]


async def test_somebody_elses_order_is_none(shop: Shop) -> None:
    order, _ = await bought(shop)

    with pytest.raises(OrderAbsent):
        await shop.process().refunds.own(UserId("ben"), order.order_id)


async def test_who_asks_many_times_at_once_is_paid_once(shop: Shop) -> None:
    order, _ = await bought(shop)

    asked = (shop.process().refunds.own(BUYER, order.order_id) for _ in range(5))
    await asyncio.gather(*asked, return_exceptions=True)
    await shop.settle()

    assert len(shop.kept(order).reversals) == 1
    assert await shop.credits() == NOTHING


async def test_what_the_provider_refuses_stays_the_buyers(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    order, _ = await bought(shop)

    async def refuse(*_: object, **__: object) -> None:
        raise RailRefused("Stripe", "insufficient_funds")

    monkeypatch.setattr(shop.bench.api, "post", refuse)

    assert await refused(shop, order) == "provider_refused"
    assert await shop.credits() == WHOLE
    assert await shop.set_aside() == 0


@pytest.mark.slow
async def test_a_death_between_any_two_steps_of_a_refund_loses_nothing(bench: type[Bench]) -> None:
    """Nobody asks again; the look that was arranged beforehand finds how it ended, and so does a buyer who does."""
    outcomes = set()
    for dies_at in range(1, STEPS_MAX):
        shop = Shop(bench)
        await shop.open_wallet()
        order, _ = await bought(shop)
        fate = Fate(dies_at)
        try:
            await fate.live(shop.process(fate).refunds.own(BUYER, order.order_id))
        except (Killed, asyncio.CancelledError):
            shop.clock.now_ms += LATER_MS
            await shop.settle()
        else:
            break
        outcomes.add(await shop.credits())
        assert await shop.set_aside() == 0, f"died at step {dies_at}"
        await shop.check_books()
    assert outcomes == {WHOLE, NOTHING}


async def test_an_operator_gives_back_a_part_of_what_is_spent(shop: Shop) -> None:
    order, _ = await bought(shop)
    await shop.spend(550)
    give = {"operator": "service:op", "reason": "a complaint", "key": "1"}

    for _ in range(2):
        await shop.process().refunds.any(order.order_id, 100, **give)

    # Rounded down, for the credits and for the bonus.
    price = order.money.amount_minor
    assert await shop.micros() == (-(500 * CREDIT * 100 // price) - (50 * CREDIT * 100 // price), 0)
    assert list(shop.kept(order).refund_notes.values()) == ["100 service:op: a complaint"]


@pytest.mark.parametrize(
    ("first_minor", "other"),
    [
        (100, {"amount_minor": 200}),
        (100, {"amount_minor": None}),
        (None, {"amount_minor": 100}),
        (None, {"amount_minor": PACK.prices_minor["USD"]}),
        (100, {"reason": "another one"}),
    ],
    ids=["more", "all after a part", "a part after all", "as much as all was", "for another reason"],
)
async def test_an_operators_key_stands_for_one_request(first_minor: int | None, other: dict[str, Any]) -> None:
    """Who sends it again with more must not be told that more was given back. The same again is answered the same."""
    shop = Shop()
    await shop.open_wallet()
    order, _ = await bought(shop)
    asked: dict[str, Any] = {"amount_minor": first_minor, "operator": "service:op", "reason": "a complaint", "key": "1"}
    first = await shop.process().refunds.any(order.order_id, **asked)

    with pytest.raises(KeyReused):
        await shop.process().refunds.any(order.order_id, **{**asked, **other})

    assert await shop.process().refunds.any(order.order_id, **asked) == first
    assert len(shop.kept(order).reversals) == 1


async def test_an_operators_key_stands_for_one_order_and_another_operators_for_another() -> None:
    shop = Shop()
    await shop.open_wallet()
    (order, _), (other, _) = await bought(shop), await bought(shop)
    give = {"operator": "service:op", "reason": "a complaint", "key": "1"}
    await shop.process().refunds.any(order.order_id, 100, **give)

    with pytest.raises(KeyReused):
        await shop.process().refunds.any(other.order_id, 100, **give)

    assert shop.kept(other).reversals == {}
    await shop.process().refunds.any(other.order_id, 100, **{**give, "operator": "service:other"})
    assert len(shop.kept(other).reversals) == 1


async def test_an_operators_repeat_of_a_day_later_gives_nothing_more(shop: Shop) -> None:
    """The provider forgets keys after a day; the refund itself says which request made it."""
    order, _ = await bought(shop)
    give = {"operator": "service:op", "reason": "a complaint", "key": "1"}
    await shop.process().refunds.any(order.order_id, 100, **give)
    shop.bench.account.forget_keys()

    await shop.process().refunds.any(order.order_id, 100, **give)

    assert len(shop.kept(order).reversals) == 1


async def test_an_operator_gives_back_no_more_than_was_paid(shop: Shop) -> None:
    order, _ = await bought(shop)
    give = {"operator": "service:op", "reason": "a complaint"}
    await shop.process().refunds.any(order.order_id, order.money.amount_minor - 99, key="1", **give)

    with pytest.raises(RefundRefused) as refusal:
        await shop.process().refunds.any(order.order_id, 100, key="2", **give)

    assert refusal.value.reason == "too_much"
    rest = await shop.process().refunds.any(order.order_id, None, key="3", **give)
    assert rest.state is OrderState.REFUNDED
    assert await shop.credits() == NOTHING
