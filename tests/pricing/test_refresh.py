"""Renewing multipliers from a ledger: what is counted once, whoever dies, repeats or runs beside."""

import asyncio
import contextlib
from itertools import product

import pytest

from shared.base.ids import AccountId, HoldId
from shared.ledger.memory import MemoryLedgerStore, MemoryLedgerWindows
from shared.ledger.store import VISIBLE_WITHIN_S, StoreUnavailable
from shared.metering.models import DEMAND_NEUTRAL_PPM
from shared.pricing.errors import PricesUnavailable
from shared.pricing.models import DemandState
from shared.pricing.refresh import PriceRefresh, RefreshReport
from shared.pricing.rules import HOUR_S, WINDOW_S, WINDOWS_MAX, advance
from tests.ledger.builders import Ticker, ledger_on
from tests.pricing.memory import NOW_S, Died, MemoryPrices

MODEL = "maker/model"
ACCOUNTS = [AccountId(f"user:{number}") for number in range(8)]
FAULTS = ["ok", "lost", "unacknowledged", "dies before", "dies after"]
CREDITS_100 = 100_000_000


class Market:
    """A ledger on which calls of a model are charged, and the prices that follow."""

    def __init__(self) -> None:
        self.clock = Ticker(NOW_S * 1_000)
        self.books = MemoryLedgerStore(self.clock)
        self.ledger = ledger_on(self.books, self.clock)
        self.prices = MemoryPrices()
        self._calls = 0

    async def open(self) -> None:
        """Wallets with enough for all that is sold here."""
        for account_id in ACCOUNTS:
            await self.ledger.open(account_id)
            await self.ledger.grant_paid(account_id, 10**12, key="funds", facts={})

    def at(self, seconds: int) -> None:
        """So long after the first window began."""
        self.clock.now_ms = (NOW_S + seconds) * 1_000
        self.prices.now_s = NOW_S + seconds

    async def sell(self, amount_micros: int = CREDITS_100, model_id: str = MODEL, **facts: str) -> None:
        """Charge a call, by one account after the other, so that all bands have something."""
        self._calls += 1
        account_id, hold_id = ACCOUNTS[self._calls % len(ACCOUNTS)], HoldId(f"call-{self._calls}")
        await self.ledger.hold(account_id, amount_micros, hold_id=hold_id)
        await self.ledger.capture(account_id, hold_id, amount_micros, facts={"model": model_id, **facts})

    async def sell_in_windows(self, *calls: int) -> None:
        """So many calls in each window, one window after the other; then wait until the last one is closed."""
        for number, count in enumerate(calls):
            self.at(number * WINDOW_S + 10)
            for _ in range(count):
                await self.sell()
        self.at(len(calls) * WINDOW_S + VISIBLE_WITHIN_S)

    async def run(self) -> RefreshReport:
        """As a process of its own would."""
        return await PriceRefresh(self.prices, MemoryLedgerWindows(self.books)).run()


def expected(*calls: int) -> DemandState:
    """What comes of so many calls in each window."""
    state = DemandState()
    for number, count in enumerate(calls):
        load = {MODEL: CREDITS_100 * count} if count else {}
        state = advance(state, NOW_S + (number + 1) * WINDOW_S, load).state
    return state


@pytest.fixture
async def market() -> Market:
    """With wallets and without sales; its prices were once renewed, so that every window after that counts."""
    market = Market()
    await market.open()
    market.at(VISIBLE_WITHIN_S)
    await market.run()
    return market


async def test_load_is_what_the_ledger_says_was_sold(market: Market) -> None:
    """Over all accounts, each window by itself."""
    await market.sell_in_windows(4, 20, 20)

    report = await market.run()

    assert report == RefreshReport(windows=3, sales=44, models=1)
    assert market.prices.state.models == expected(4, 20, 20).models
    assert market.prices.told.models[MODEL].demand_ppm > DEMAND_NEUTRAL_PPM


async def test_one_run_counts_as_much_as_many(market: Market) -> None:
    """A timer that missed its turns comes to the same price."""
    other = Market()
    await other.open()
    other.at(VISIBLE_WITHIN_S)
    await other.run()
    calls = (4, 20, 3, 0, 7)
    await market.sell_in_windows(*calls)
    await market.run()

    for number in range(len(calls)):
        other.at(number * WINDOW_S + 10)
        for _ in range(calls[number]):
            await other.sell()
        other.at((number + 1) * WINDOW_S + VISIBLE_WITHIN_S)
        await other.run()

    assert other.prices.state == market.prices.state


async def test_a_repeat_counts_nothing_twice(market: Market) -> None:
    await market.sell_in_windows(4, 20)
    await market.run()

    again = await market.run()

    assert (again.windows, market.prices.commits) == (0, 3)
    assert market.prices.state.models == expected(4, 20).models


async def test_a_window_is_not_counted_before_all_its_commits_can_be_seen(market: Market) -> None:
    await market.sell_in_windows(4)
    market.at(WINDOW_S + VISIBLE_WITHIN_S - 1)

    assert (await market.run()).windows == 0


@pytest.mark.parametrize("faults", list(product(FAULTS, repeat=2)))
async def test_whatever_a_run_dies_of_the_next_comes_to_the_same_price(market: Market, faults: tuple[str, ...]) -> None:
    """At each window's commit, before it or after it, told of it or not."""
    await market.sell_in_windows(4, 20, 3)
    market.prices.faults += faults

    for _ in range(3):
        with contextlib.suppress(Died):
            await market.run()

    assert market.prices.state.models == expected(4, 20, 3).models


async def test_many_at_once_count_each_window_once(market: Market) -> None:
    """Whoever is overtaken stops, and says so."""
    await market.sell_in_windows(4, 20, 3)

    reports = await asyncio.gather(*(market.run() for _ in range(5)))

    assert sum(report.windows for report in reports) == 3
    assert [report.finished for report in reports].count(False) == 4
    assert market.prices.state.models == expected(4, 20, 3).models


async def test_after_a_long_pause_the_last_hour_counts(market: Market) -> None:
    """What was sold a day ago says nothing of demand now, and reading it would cost."""
    await market.sell_in_windows(30)
    market.at(86_400)

    report = await market.run()

    assert (report.windows, report.sales) == (WINDOWS_MAX, 0)


async def test_answers_told_again_are_no_load(market: Market) -> None:
    market.at(10)
    await market.sell(cache="hit")
    market.at(WINDOW_S + VISIBLE_WITHIN_S)

    assert (await market.run()).sales == 0


async def test_an_entry_that_makes_no_sense_stops_nothing(market: Market) -> None:
    """The audit finds it; prices go on."""
    await market.sell_in_windows(4)
    document = next(one for one in market.books.entries.values() if one["kind"] == "capture")
    document["facts"] = "nonsense"

    assert (await market.run()).sales == 3


async def test_hours_are_recorded_once_they_are_over(market: Market) -> None:
    """Once, with all their refreshes; the recorded days are what trends are made of."""
    await market.sell_in_windows(*([5] * 12))
    await market.run()
    first_hour_s = NOW_S - NOW_S % HOUR_S
    recorded = market.prices.recorded

    assert [(model_id, start_s) for model_id, start_s in recorded] == [(MODEL, first_hour_s)]
    assert recorded[MODEL, first_hour_s].count == (first_hour_s + HOUR_S - NOW_S) // WINDOW_S - 1


@pytest.mark.parametrize("failure", ["prices", "ledger"])
async def test_what_cannot_be_read_changes_no_price(market: Market, failure: str) -> None:
    """It is told, and left to the next run."""
    await market.sell_in_windows(4)
    before = market.prices.state
    market.prices.down = failure == "prices"

    class Unread(MemoryLedgerWindows):
        def entries_between(self, *_: object) -> object:  # type: ignore[override]
            raise StoreUnavailable

    windows = Unread(market.books) if failure == "ledger" else MemoryLedgerWindows(market.books)
    with pytest.raises(PricesUnavailable):
        await PriceRefresh(market.prices, windows).run()

    assert market.prices.state == before
