"""The demand multiplier in a chat: quoted, held, charged and told as it stood when the call began."""

from dataclasses import dataclass

import pytest

from shared.base.economy import COST_PPM
from shared.pricing.models import Multiplier
from tests.chat.builders import request_of, says
from tests.chat.conftest import Shop
from tests.providers import fake


@dataclass
class SetDemand:
    """One multiplier for all models, which tests change at will."""

    demand_ppm: int
    set_until_s: int = 0

    async def of(self, model_id: str) -> Multiplier:
        return Multiplier(self.demand_ppm, 0, self.set_until_s)


@pytest.mark.parametrize(("demand_ppm", "charged"), [(900_000, 27), (1_000_000, 30), (2_000_000, 60)])
async def test_a_charge_is_multiplied(shop: Shop, demand_ppm: int, charged: int) -> None:
    """The hold is as well, so the charge is never capped by it; the receipt says by how much."""
    shop.demand = SetDemand(demand_ppm)
    shop.first.replies.append(fake.whole(fake.completion(usage=fake.usage())))

    answer = await shop.chats().answer(shop.asking(), request_of())

    assert answer.headers["x-credence-cost-micros"] == str(charged)
    facts = dict(shop.captures()[0].facts)
    assert facts.get("demand_ppm", "1000000") == str(demand_ppm)
    assert "capped_by" not in facts


async def test_nothing_is_sold_below_what_a_provider_asks(shop: Shop) -> None:
    """However low demand is: the receipt says which rule made the multiplier."""
    shop.demand = SetDemand(800_000)
    shop.first.replies.append(fake.whole(fake.completion(usage=fake.usage(10_000, 20_000))))

    await shop.chats().answer(shop.asking(), request_of(says("x" * 10_000), max_tokens=8_000))

    facts = dict(shop.captures()[0].facts)
    assert (facts["demand_ppm"], facts["demand_rule"]) == (str(COST_PPM), "cost")
    assert 800_000 < COST_PPM < 1_000_000


async def test_what_an_operator_has_set_is_frozen_and_named(shop: Shop) -> None:
    """Whoever doubts a charge finds that it was not demand; clearing it does not reach a call under way."""
    shop.demand = demand = SetDemand(1_500_000, set_until_s=10**10)
    shop.first.replies.append(fake.stream(*fake.hello()))

    stream = await shop.stream(request_of(stream=True))
    demand.demand_ppm, demand.set_until_s = 1_000_000, 0
    async for _ in stream.events():
        pass
    await stream.close()

    facts = dict(shop.captures()[0].facts)
    assert (facts["demand_ppm"], facts["demand_rule"]) == ("1500000", "operator")
    assert await shop.spent_micros() == 45


async def test_a_change_during_a_call_changes_nothing_of_it(shop: Shop) -> None:
    """What was quoted is charged."""
    shop.demand = demand = SetDemand(1_000_000)
    shop.first.replies.append(fake.stream(*fake.hello()))

    stream = await shop.stream(request_of(stream=True))
    demand.demand_ppm = 2_000_000
    async for _ in stream.events():
        demand.demand_ppm = 800_000
    await stream.close()

    assert await shop.spent_micros() == 30


async def test_an_answer_told_again_follows_demand_too(shop: Shop) -> None:
    """It costs a tenth of what asking would cost now."""
    shop.demand = demand = SetDemand(1_000_000)
    shop.first.replies.append(fake.whole(fake.completion(usage=fake.usage(100, 200))))
    request = request_of(credence_cache="use")
    await shop.chats().answer(shop.asking(), request)
    demand.demand_ppm = 2_000_000

    await shop.chats().answer(shop.asking(), request)

    assert [entry.delta_micros for entry in shop.captures()] == [-300, -60]
