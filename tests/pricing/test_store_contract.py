"""What every store of prices promises, Firestore's and the one in memory alike."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from local.stack import Stack
from shared.metering.models import DEMAND_NEUTRAL_PPM
from shared.pricing.errors import PricesUnavailable
from shared.pricing.models import Advanced, DemandState, Hour, Multiplier, Multipliers, OverrideRecord
from shared.pricing.rules import DAY_S, HOUR_S, WINDOW_S, advance, overridden
from shared.pricing.store import DemandLost, FirestorePrices, PriceStore, multipliers_from
from tests.database import firestore_at
from tests.pricing.memory import MemoryPrices

MODEL = "meta-llama/Llama-3.1-8B.v2 (x)"
ODD = ["..", "_a_", "a/b/c", "ä", "prices/model:x"]
DAY_START_S = 1_800_000_000 - 1_800_000_000 % DAY_S
LOAD = {MODEL: 10**9, **dict.fromkeys(ODD, 10**8)}


class PricesContract:
    """Subclassed once per store; `prices` is empty at first."""

    async def test_an_empty_store_knows_no_demand(self, prices: PriceStore) -> None:
        known = await prices.demand()

        assert (known.state, known.version) == (DemandState(), None)
        assert known.read_at_s > 1_700_000_000
        assert await prices.multipliers() == Multipliers()
        assert await prices.hours(MODEL, [DAY_START_S]) == []

    async def test_what_was_committed_is_read(self, prices: PriceStore) -> None:
        """Whatever the models are called."""
        advanced = advance(DemandState(), DAY_START_S, LOAD)

        version = await prices.commit(advanced, None)

        known = await prices.demand()
        assert (known.state, known.version) == (advanced.state, version)
        told = await prices.multipliers()
        assert told.until_s == DAY_START_S
        assert told.models == dict.fromkeys(LOAD, Multiplier(DEMAND_NEUTRAL_PPM, DAY_START_S))

    async def test_of_two_from_the_same_state_one_is_written(self, prices: PriceStore) -> None:
        """At the first time too."""
        version = None
        state = DemandState()
        for number in range(2):
            advanced = advance(state, DAY_START_S + number * WINDOW_S, LOAD)
            outcomes = await asyncio.gather(
                *(prices.commit(advanced, version) for _ in range(5)), return_exceptions=True
            )
            assert sum(isinstance(outcome, DemandLost) for outcome in outcomes) == 4
            known = await prices.demand()
            state, version = known.state, known.version
            assert state == advanced.state

    async def test_hours_that_ended_are_found_by_their_day(self, prices: PriceStore) -> None:
        """Each beside the others of its day, and no other model's."""
        state, version, recorded = DemandState(), None, []
        for until_s in range(DAY_START_S, DAY_START_S + DAY_S + 3 * HOUR_S, HOUR_S // 2):
            advanced = advance(state, until_s, LOAD)
            version = await prices.commit(advanced, version)
            state = advanced.state
            recorded += [advanced.ended[MODEL]] if advanced.ended else []

        def in_order(hours: list[Hour]) -> list[Hour]:
            return sorted(hours, key=lambda hour: hour.start_s)

        assert in_order(await prices.hours(MODEL, [DAY_START_S])) == recorded[:24]
        both = await prices.hours(MODEL, [DAY_START_S + DAY_S, DAY_START_S, DAY_START_S - DAY_S])
        assert in_order(both) == recorded
        assert len(await prices.hours("a/b/c", [DAY_START_S])) == 24
        assert await prices.hours("another", [DAY_START_S]) == []

    async def test_an_order_stands_with_what_it_did_once_for_each_id(self, prices: PriceStore) -> None:
        """Another of the same id is not written, and neither is what it would have done."""
        record = OverrideRecord(
            record_id="a" * 64, model_id=MODEL, demand_ppm=None, lasts_s=300, since_s=7, by="service:x", why="a ☃"
        )
        state = overridden(DemandState(), replace(record, demand_ppm=900_000))
        assert await prices.override(record.record_id) is None

        version = await prices.commit(Advanced(state, {}), None, record)
        with pytest.raises(DemandLost):
            await prices.commit(Advanced(DemandState(), {}), version, record)

        assert await prices.override(record.record_id) == record
        assert (await prices.demand()).state == state
        assert (await prices.multipliers()).models == {MODEL: Multiplier(900_000, 7, 307, DEMAND_NEUTRAL_PPM)}


class TestMemoryPrices(PricesContract):
    """The fake."""

    @pytest.fixture
    def prices(self) -> PriceStore:
        return MemoryPrices()


class TestFirestorePrices(PricesContract):
    """The real one, on the emulator."""

    @pytest.fixture
    async def prices(self, stack: Stack, project_id: str) -> AsyncIterator[PriceStore]:
        async with firestore_at(stack.firestore_address, project_id) as client:
            yield FirestorePrices(client)

    async def test_sales_figures_are_not_where_everybody_reads(self, stack: Stack, project_id: str) -> None:
        """What clients may read says what things cost, and not how much was sold."""
        async with firestore_at(stack.firestore_address, project_id) as client:
            await FirestorePrices(client).commit(advance(DemandState(), DAY_START_S, LOAD), None)
            current = (await client.document("prices/current").get()).to_dict() or {}

        assert current["models"][MODEL].keys() == {"demand_ppm", "since_s"}


async def test_a_store_that_is_down_is_unavailable() -> None:
    """Reads say so; a commit's outcome is unknown."""
    async with firestore_at("127.0.0.1:1", "demo-nobody") as client:
        prices = FirestorePrices(client)
        for reading in (
            prices.override("x"),
            prices.demand(),
            prices.multipliers(),
            prices.hours(MODEL, [DAY_START_S]),
        ):
            with pytest.raises(PricesUnavailable):
                await reading
        with pytest.raises(DemandLost):
            await prices.commit(advance(DemandState(), DAY_START_S, LOAD), None)


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        ({"demand_ppm": 0, "since_s": 1}, 800_000),
        ({"demand_ppm": -5, "since_s": 1}, 800_000),
        ({"demand_ppm": 10**9, "since_s": 1}, 2_000_000),
        ({"demand_ppm": 10**9, "since_s": 1, "set_until_s": -5, "otherwise_ppm": 0}, 2_000_000),
        ({"demand_ppm": 10**6, "since_s": 1, "set_until_s": "x"}, None),
        ({"demand_ppm": 1.5, "since_s": 1}, None),
        ({"demand_ppm": None, "since_s": 1}, None),
        ("nonsense", None),
    ],
)
def test_whatever_is_stored_no_price_is_out_of_bounds(stored: object, told: int | None) -> None:
    """And none is free."""
    models = multipliers_from({"until_s": 1, "models": {MODEL: stored}}).models

    assert {name: one.demand_ppm for name, one in models.items()} == ({} if told is None else {MODEL: told})


def test_what_comes_after_an_order_has_the_bounds_too() -> None:
    """Whatever is stored beside it."""
    stored = {"demand_ppm": 10**6, "since_s": 1, "set_until_s": 5, "otherwise_ppm": 0}
    one = multipliers_from({"models": {MODEL: stored}}).models[MODEL]

    assert one == Multiplier(10**6, 1, 5, 800_000)


def test_a_document_that_is_none_of_ours_means_no_multipliers() -> None:
    assert multipliers_from({"models": 7, "until_s": "x"}) == Multipliers()
