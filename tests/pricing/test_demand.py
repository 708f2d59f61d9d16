"""The multipliers in a process's memory: how old they get, who waits for them, and what holds without a store."""

import asyncio

import pytest

from shared.pricing.demand import AGE_S_MAX, NEUTRAL, RENEW_AFTER_S, TRY_AGAIN_AFTER_S, Demand
from shared.pricing.models import Multiplier, Multipliers
from tests.pricing.memory import MemoryPrices

MODEL = "maker/model"
DEAR = Multiplier(1_500_000, 7)
CHEAP = Multiplier(800_000, 9)


class Shelf:
    """Prices behind a clock of the test's."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.prices = MemoryPrices()
        self.demand = Demand(self.prices, clock_s=lambda: self.now_s)
        self.mark(DEAR)

    def mark(self, multiplier: Multiplier) -> None:
        self.prices.told = Multipliers(1, {MODEL: multiplier})

    async def after(self, seconds: float) -> Multiplier:
        """What is known that much later, and then let what was begun go on."""
        self.now_s += seconds
        known = await self.demand.of(MODEL)
        await asyncio.sleep(0)
        return known


@pytest.fixture
async def shelf() -> Shelf:
    return Shelf()


async def test_the_first_call_waits_for_them(shelf: Shelf) -> None:
    """It would else be sold at another price than is told."""
    assert await shelf.demand.of(MODEL) == DEAR


async def test_one_read_serves_all_models_and_all_calls_of_a_minute(shelf: Shelf) -> None:
    await asyncio.gather(*(shelf.demand.of(f"maker/{number}") for number in range(100)))
    shelf.now_s += RENEW_AFTER_S
    await shelf.demand.of(MODEL)

    assert shelf.prices.reads == 1


async def test_no_call_waits_while_they_are_renewed(shelf: Shelf) -> None:
    """The one that begins it has the old ones; the next has the new ones."""
    await shelf.after(0)
    shelf.mark(CHEAP)

    assert await shelf.after(RENEW_AFTER_S + 1) == DEAR
    assert await shelf.after(0) == CHEAP
    assert shelf.prices.reads == 2


async def test_none_is_used_that_is_too_old(shelf: Shelf) -> None:
    """A process that was not run for long reads before it sells."""
    await shelf.after(0)
    shelf.mark(CHEAP)

    assert await shelf.after(AGE_S_MAX + 1) == CHEAP


async def test_without_a_store_the_last_known_holds(shelf: Shelf) -> None:
    """However long."""
    await shelf.after(0)
    shelf.prices.down = True

    assert [await shelf.after(AGE_S_MAX * 2) for _ in range(3)] == [DEAR] * 3


async def test_without_a_store_from_the_first_all_is_at_the_catalogs_price(shelf: Shelf) -> None:
    """Never free. It is not tried by every call."""
    shelf.prices.down = True

    assert [await shelf.after(0.01) for _ in range(20)] == [NEUTRAL] * 20
    assert shelf.prices.reads == 1
    shelf.prices.down = False
    assert await shelf.after(TRY_AGAIN_AFTER_S) == DEAR


async def test_a_store_that_hangs_delays_a_call_by_a_second(shelf: Shelf) -> None:
    """Then it goes on without; the answer serves the calls after it."""
    asked = asyncio.Event()

    class Hanging(MemoryPrices):
        async def multipliers(self) -> Multipliers:
            await asked.wait()
            return Multipliers(1, {MODEL: DEAR})

    demand = Demand(Hanging(), clock_s=lambda: shelf.now_s)
    begun_s = asyncio.get_running_loop().time()

    assert await demand.of(MODEL) == NEUTRAL
    assert 0.9 < asyncio.get_running_loop().time() - begun_s < 5
    asked.set()
    await asyncio.sleep(0.01)
    assert await demand.of(MODEL) == DEAR
