"""Operators' orders: carried out once, on the record, beside refreshes, and over by the clock."""

import asyncio

import pytest

from shared.base.economy import COST_PPM, DEMAND_PPM_MAX
from shared.catalog.models import Route
from shared.pricing.demand import Demand
from shared.pricing.errors import OrderReused, PricesBusy
from shared.pricing.models import DemandState, Multiplier, OverrideRecord
from shared.pricing.overrides import TRIES_MAX, Overrides
from shared.pricing.rules import WINDOW_S, advance, in_force, multipliers_of, overridden, sold_at
from tests.pricing.memory import NOW_S, MemoryPrices

MODEL, OTHER = "maker/model", "maker/other"
LASTS_S = 3_600


async def order(
    prices: MemoryPrices, demand_ppm: int | None = 1_500_000, *, model: str = MODEL, key: str = "one"
) -> OverrideRecord:
    return await Overrides(prices).order(model, demand_ppm, lasts_s=LASTS_S, by="service:op", why="a sale", key=key)


async def test_an_order_is_told_to_gateways_at_once_and_says_who_and_why() -> None:
    """What demand would have is told beside it."""
    prices = MemoryPrices()

    made = await order(prices)

    assert (made.by, made.why, made.since_s) == ("service:op", "a sale", NOW_S)
    assert prices.told.models == {MODEL: Multiplier(1_500_000, NOW_S, NOW_S + LASTS_S, 1_000_000)}


async def test_a_repeat_is_the_same_order_and_another_under_its_key_is_refused() -> None:
    """It ends when it would have."""
    prices = MemoryPrices()
    made = await order(prices)
    prices.now_s += 1_000

    assert await order(prices) == made
    with pytest.raises(OrderReused):
        await order(prices, 1_600_000)
    assert prices.told.models[MODEL].set_until_s == NOW_S + LASTS_S


async def test_clearing_leaves_a_model_to_demand_again() -> None:
    """And the others as they were; clearing what is not set changes nothing."""
    prices = MemoryPrices()
    await order(prices)
    await order(prices, model=OTHER, key="two")

    await order(prices, None, key="three")
    await order(prices, None, key="four")

    assert prices.told.models.keys() == {OTHER}
    assert len(prices.orders) == 4


@pytest.mark.parametrize("fault", ["lost", "unacknowledged"])
async def test_an_order_whose_commit_is_lost_is_given_once(fault: str) -> None:
    """Done and not acknowledged, it is found again."""
    prices = MemoryPrices()
    prices.faults.append(fault)

    made = await order(prices)

    assert prices.orders == {made.record_id: made}
    assert prices.told.models[MODEL].demand_ppm == 1_500_000


async def test_orders_and_refreshes_at_one_moment_are_all_kept() -> None:
    """Each commits over what it read."""
    prices = MemoryPrices()

    await asyncio.gather(*(order(prices, model=f"maker/{number}", key=str(number)) for number in range(4)))
    known = await prices.demand()
    await prices.commit(advance(known.state, NOW_S, {MODEL: 10**9}), known.version)

    assert prices.told.models.keys() == {MODEL, *(f"maker/{number}" for number in range(4))}


async def test_an_order_that_never_comes_through_says_so() -> None:
    prices = MemoryPrices()
    prices.faults.extend(["lost"] * TRIES_MAX)

    with pytest.raises(PricesBusy):
        await order(prices)

    assert not prices.orders


async def test_what_was_set_ends_by_the_clock_without_a_refresh() -> None:
    """A gateway goes back to demand's multiplier in the second that was told."""
    prices = MemoryPrices()
    await order(prices)
    now_s = [NOW_S]
    demand = Demand(prices, clock_s=lambda: 0.0, wall_clock=lambda: now_s[0] * 1_000)

    before = await demand.of(MODEL)
    now_s[0] += LASTS_S
    after = await demand.of(MODEL)

    assert (before.demand_ppm, after) == (1_500_000, Multiplier(1_000_000, NOW_S + LASTS_S))


def test_load_is_counted_on_beneath_what_was_set() -> None:
    """Refreshes keep it until its end, and demand's own multiplier moves as if nothing had been set."""
    record = OverrideRecord(
        record_id="x", model_id=MODEL, demand_ppm=900_000, lasts_s=2 * WINDOW_S, since_s=0, by="op", why="x"
    )
    plain = DemandState()
    state = overridden(plain, record)
    for until_s in (WINDOW_S, 2 * WINDOW_S, 3 * WINDOW_S):
        state, plain = (advance(one, until_s, {MODEL: until_s * 10**7}).state for one in (state, plain))
        told = multipliers_of(state).models[MODEL]
        assert state.models == plain.models
        assert in_force(told, until_s).demand_ppm == (900_000 if until_s < 2 * WINDOW_S else told.demand_ppm)
    assert multipliers_of(state) == multipliers_of(plain)


@pytest.mark.parametrize("asked", [0, 1, 799_999, 2_000_001, 10**9])
def test_no_order_goes_beyond_the_bounds(asked: int) -> None:
    """Those of what follows demand."""
    record = OverrideRecord(record_id="x", model_id=MODEL, demand_ppm=asked, lasts_s=1, since_s=0, by="op", why="x")

    assert multipliers_of(overridden(DemandState(), record)).models[MODEL].demand_ppm in (800_000, DEMAND_PPM_MAX)


@pytest.mark.parametrize(
    ("demand_ppm", "set_until_s", "cost_ppm", "sold"),
    [
        (1_000_000, 0, None, (1_000_000, "")),
        (800_000, 0, None, (COST_PPM, "cost")),
        (800_000, 9, None, (COST_PPM, "cost")),
        (950_000, 9, None, (950_000, "operator")),
        # A route that asks half as much may be sold for less; one that asks more never below that.
        (800_000, 0, 500_000, (800_000, "")),
        (1_000_000, 0, 1_500_000, (-(-COST_PPM * 3 // 2), "cost")),
        (1_000_000, 0, 9_000_000, (DEMAND_PPM_MAX, "cost")),
    ],
)
def test_nothing_is_sold_below_cost(
    demand_ppm: int, set_until_s: int, cost_ppm: int | None, sold: tuple[int, str]
) -> None:
    """By the dearest of the routes, for any may answer in the end."""
    routes = [Route(provider="a", model="m", cost_ppm=cost_ppm), Route(provider="b", model="m", cost_ppm=100)]

    assert sold_at(Multiplier(demand_ppm, 0, set_until_s), routes) == sold
