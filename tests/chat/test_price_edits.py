"""Prices that operators change while calls are under way: a call is charged at the price it was held at."""

import pytest

from shared.catalog.errors import ModelUnknown
from shared.catalog.service import REFRESH_MS, Catalog
from shared.pricing.demand import Demand
from shared.pricing.service import Prices
from tests.catalog.memory import MemoryModels
from tests.chat.builders import MILLION, TEXT_MODEL, request_of, says
from tests.chat.conftest import Shop
from tests.chat.wire import STREAMED
from tests.pricing.memory import MemoryPrices
from tests.providers import fake


@pytest.fixture
def edits(shop: Shop) -> MemoryModels:
    """What operators change in the shop's catalog."""
    edits = MemoryModels()
    shop.catalog = Catalog([TEXT_MODEL], {"first", "second"}, edits, shop.clock)
    return edits


def edit(edits: MemoryModels, micros: int, version: str, **fields: object) -> None:
    """An operator's new price, the same for prompts and answers."""
    prices = {"prompt_micros_per_mtok": micros, "completion_micros_per_mtok": micros}
    edits.edit(TEXT_MODEL.id, price=prices, price_version=version, **fields)


async def test_an_edit_in_the_middle_of_a_stream_changes_nothing_for_it(shop: Shop, edits: MemoryModels) -> None:
    """Neither its charge nor the version that its receipt names; the next call is sold at the new price."""
    edit(edits, 2 * MILLION, "1")
    for _ in range(2):
        shop.first.replies.append(fake.stream(*fake.hello()))
    stream = await shop.stream(request_of(**STREAMED))
    events = stream.events()
    await anext(events)

    edit(edits, 100 * MILLION, "2")
    shop.clock.now_ms += REFRESH_MS
    # Another call of the process brings the edit in.
    after = await shop.stream(request_of(**STREAMED))
    async for _ in events:
        pass
    await stream.close()
    async for _ in after.events():
        pass
    await after.close()

    first, second = [dict(entry.facts) for entry in shop.captures()]
    assert [-entry.delta_micros for entry in shop.captures()] == [60, 3_000]
    assert (first["price_version"], second["price_version"]) == ("1", "2")


async def test_a_model_taken_off_in_the_middle_is_still_delivered_and_charged(shop: Shop, edits: MemoryModels) -> None:
    """Only the next call is refused."""
    shop.first.replies.append(fake.stream(*fake.hello()))
    stream = await shop.stream(request_of(**STREAMED))

    edit(edits, MILLION, "1", enabled=False)
    shop.clock.now_ms += REFRESH_MS
    async for _ in stream.events():
        pass
    await stream.close()

    assert await shop.spent_micros() == 30
    with pytest.raises(ModelUnknown):
        await shop.stream(request_of(**STREAMED))


async def test_without_the_store_of_prices_a_call_is_charged_at_the_last_known(shop: Shop, edits: MemoryModels) -> None:
    """Never nothing."""
    edits.down = True
    shop.first.replies.append(fake.stream(*fake.hello()))
    stream = await shop.stream(request_of(says("hi"), **STREAMED))
    async for _ in stream.events():
        pass
    await stream.close()

    assert await shop.spent_micros() == 30


async def test_a_hundred_calls_of_a_warm_process_read_no_price(shop: Shop, edits: MemoryModels) -> None:
    """Within the minute of the first."""
    for _ in range(100):
        shop.first.replies.append(fake.whole(fake.completion(usage=fake.usage())))
    for _ in range(100):
        await shop.chats().answer(shop.asking(), request_of())

    assert len(edits.readings) == 1


async def test_the_price_that_is_told_is_the_one_that_is_charged(shop: Shop, edits: MemoryModels) -> None:
    """Also by a process that does nothing else, and so has no call that would bring the edit in."""
    edit(edits, 2 * MILLION, "1")

    price = await Prices(shop.catalog, Demand(MemoryPrices())).now(TEXT_MODEL.id)

    assert {unit.catalog_micros for unit in price.units} == {2 * MILLION}
