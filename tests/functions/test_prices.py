"""price_get, price_trends, price_predict and price_refresh: what demand does to a price, and who is told of it."""

from collections.abc import Iterator
from typing import Any

import pytest

from local.deployment import Deployment
from local.people import Person
from local.stack import Stack
from local.treasury import Treasury
from tests.clients import add_member, answer, balance_micros, call, refusal

LLAMA = "meta-llama/Meta-Llama-3.1-8B-Instruct"
DEAR_PPM = 1_500_000


@pytest.fixture(scope="module")
def market(stack: Stack) -> Iterator[Deployment]:
    """A deployment of its own, in which one model is half as dear again, and so are its calls."""
    with Deployment(stack, "demo-prices", events=False) as started:
        Treasury(started.environment).record_prices(LLAMA, DEAR_PPM)
        yield started


@pytest.fixture
def buyer(stack: Stack, market: Deployment) -> Person:
    return add_member(stack, market)


def ask(market: Deployment, person: Person, path: str) -> dict[str, Any]:
    return answer(call(market, "GET", path, person.token))


def test_a_price_is_the_catalogs_times_demand(market: Deployment, buyer: Person) -> None:
    """For each unit that the model is sold by, in integers."""
    told = ask(market, buyer, f"/v1/prices/{LLAMA}")

    listed = next(model for model in answer(call(market, "GET", "/v1/models"))["data"] if model["id"] == LLAMA)
    by_unit = {unit["unit"]: unit for unit in told["units"]}
    assert (told["model"], told["demand_ppm"]) == (LLAMA, DEAR_PPM)
    assert 0 < told["since_s"] <= told["counted_until_s"]
    assert by_unit["prompt_tokens"]["catalog_micros"] == listed["pricing"]["prompt_micros_per_mtok"]
    assert all(unit["effective_micros"] * 2 == unit["catalog_micros"] * 3 for unit in by_unit.values())


def test_a_model_without_demand_costs_what_the_catalog_says(market: Deployment, buyer: Person) -> None:
    told = ask(market, buyer, "/v1/prices/google/gemma-2-2b-it")

    assert told["demand_ppm"] == 1_000_000
    assert all(unit["effective_micros"] == unit["catalog_micros"] for unit in told["units"])


def test_a_call_is_charged_as_the_price_was_told(market: Deployment, buyer: Person) -> None:
    """The receipt names rate and multiplier, and they make up the charge."""
    before = balance_micros(market, buyer)
    body = {"model": LLAMA, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 20}

    response = call(market, "POST", "/v1/chat/completions", buyer.token, json=body)

    charged = before - balance_micros(market, buyer)
    receipt = answer(call(market, "GET", f"/v1/receipts/{response.headers['x-credence-receipt']}", buyer.token))
    facts = receipt["facts"]
    units = ("prompt_tokens", "completion_tokens")
    total = sum(int(facts[unit]) * int(facts[f"{unit}_rate"]) for unit in units) * int(facts["demand_ppm"])
    assert facts["demand_ppm"] == str(DEAR_PPM)
    assert charged == -(-total // 10**12) > 0


@pytest.mark.parametrize("per", ["hour", "day"])
def test_a_trend_tells_what_was_recorded(market: Deployment, buyer: Person, per: str) -> None:
    """One hour, and so one day."""
    told = ask(market, buyer, f"/v1/price-trends/{LLAMA}?per={per}")

    [point] = told["points"]
    assert (told["model"], told["per"]) == (LLAMA, per)
    assert point["start_s"] % (3_600 if per == "hour" else 86_400) == 0
    assert (point["low_ppm"], point["mean_ppm"], point["high_ppm"]) == (DEAR_PPM,) * 3


def test_from_one_hour_nothing_is_predicted(market: Deployment, buyer: Person) -> None:
    """It says how much was seen."""
    assert ask(market, buyer, f"/v1/price-predictions/{LLAMA}") == {
        "model": LLAMA,
        "days_seen": 0,
        "confidence": "none",
        "best": None,
        "hours": [],
        "errors": None,
    }


@pytest.mark.parametrize("route", ["price-trends", "price-predictions"])
def test_without_a_record_there_is_nothing_to_tell(market: Deployment, buyer: Person, route: str) -> None:
    assert refusal(call(market, "GET", f"/v1/{route}/maker/other", buyer.token), 404) == "price_history_not_found"


def test_an_unknown_model_has_no_price(market: Deployment, buyer: Person) -> None:
    assert refusal(call(market, "GET", "/v1/prices/maker/other", buyer.token), 404) == "model_not_found"


@pytest.mark.parametrize("route", ["prices", "price-trends", "price-predictions"])
@pytest.mark.parametrize("model_id", ["", "%20", "a%09b", "x" * 201, "%C3%A4"])
def test_what_is_no_id_of_a_model_is_refused(market: Deployment, buyer: Person, route: str, model_id: str) -> None:
    refusal(call(market, "GET", f"/v1/{route}/{model_id}", buyer.token), 400)


@pytest.mark.parametrize("route", ["prices", "price-trends", "price-predictions"])
def test_whoever_is_not_signed_in_is_told_nothing(market: Deployment, route: str) -> None:
    assert refusal(call(market, "GET", f"/v1/{route}/{LLAMA}"), 401) == "missing_token"


def test_a_grain_that_does_not_exist_is_refused(market: Deployment, buyer: Person) -> None:
    refusal(call(market, "GET", f"/v1/price-trends/{LLAMA}?per=minute", buyer.token), 400)


def test_a_refresh_counts_what_is_closed_and_a_repeat_nothing(market: Deployment) -> None:
    """Its price moves towards what its load says, by a step at most."""
    reports = [
        answer(call(market, "POST", "/_timers/price_refresh", market.scheduler_token, json={})) for _ in range(2)
    ]

    assert all(report["finished"] for report in reports)
    assert reports[1]["windows"] <= 1


def test_only_the_timer_refreshes(market: Deployment, buyer: Person) -> None:
    refusal(call(market, "POST", "/_timers/price_refresh", buyer.token, json={}), 401)
    assert refusal(call(market, "POST", "/_timers/price_refresh", market.backend_token, json={}), 403) == (
        "scope_missing"
    )
