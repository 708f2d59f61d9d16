"""demand_set: operators set a model's multiplier for some time; prices, calls and receipts follow."""

from typing import Any

import pytest
import requests
from google.cloud import firestore

from local.deployment import Deployment
from local.oidc import OPERATOR
from local.people import Person
from local.stack import Stack
from tests.clients import add_member, answer, call, refusal

PATH = "/v1/demand"
MODEL = "google/gemma-2-2b-it"


def set_demand(deployment: Deployment, **fields: Any) -> requests.Response:
    """`token` is the caller's."""
    token = fields.pop("token", deployment.operator_token)
    body = {"model": MODEL, "demand_ppm": 1_500_000, "reason": "a rush", "idempotency_key": "one"}
    return call(deployment, "POST", PATH, token, json={**body, **fields})


def test_calls_are_sold_at_what_was_set_until_it_is_cleared(stack: Stack, project_id: str) -> None:
    """As who asks for the price is told, and receipts say who made it. A repeat answers the same."""
    with Deployment(stack, project_id, events=False) as shop:
        person = add_member(stack, shop)
        made = answer(set_demand(shop, lasts_s=600))
        repeated = answer(set_demand(shop, lasts_s=600))
        told = answer(call(shop, "GET", f"/v1/prices/{MODEL}", person.token))
        chat = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 20}
        sold = call(shop, "POST", "/v1/chat/completions", person.token, json=chat)
        receipt = answer(call(shop, "GET", f"/v1/receipts/{sold.headers['x-credence-receipt']}", person.token))
        reused = refusal(set_demand(shop, demand_ppm=1_600_000), 409)
        cleared = answer(set_demand(shop, demand_ppm=None, idempotency_key="two"))
    with Deployment(stack, project_id, events=False) as shop:
        later = answer(call(shop, "GET", f"/v1/prices/{MODEL}", person.token))

    assert made == repeated
    assert (made["demand_ppm"], made["until_s"] - made["since_s"]) == (1_500_000, 600)
    facts = receipt["entry"]["facts"]
    assert (told["demand_ppm"], facts["demand_ppm"], facts["demand_rule"]) == (1_500_000, "1500000", "operator")
    assert reused == "order_key_reused"
    assert (cleared["demand_ppm"], later["demand_ppm"]) == (None, 1_000_000)


def test_an_order_is_on_the_record(deployment: Deployment, documents: firestore.Client) -> None:
    """Who, why, and for how long."""
    order = {"model": "google/gemma-3-12b-it", "demand_ppm": 1_000_000, "idempotency_key": "kept", "lasts_s": 300}
    answer(set_demand(deployment, **order))

    kept = [one.to_dict() or {} for one in documents.collection("price_state/demand/overrides").stream()]
    (record,) = [one for one in kept if one["model_id"] == order["model"]]
    assert (record["by"], record["why"], record["lasts_s"]) == (f"service:{OPERATOR}", "a rush", 300)
    assert record["at"] is not None


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"demand_ppm": 2_000_001}, 400, "invalid_request"),
        ({"demand_ppm": 799_999}, 400, "invalid_request"),
        ({"demand_ppm": 1.0}, 400, "invalid_request"),
        ({"lasts_s": 299}, 400, "invalid_request"),
        ({"lasts_s": 604_801}, 400, "invalid_request"),
        ({"reason": ""}, 400, "invalid_request"),
        ({"idempotency_key": ""}, 400, "invalid_request"),
        ({"model": "maker/unknown"}, 404, "model_not_found"),
    ],
)
def test_an_order_beyond_its_bounds_is_refused(
    deployment: Deployment, fields: dict[str, Any], status: int, code: str
) -> None:
    """Nothing is set by it."""
    assert refusal(set_demand(deployment, **{"idempotency_key": "odd", **fields}), status) == code


def test_only_operators_set_it(deployment: Deployment, member: Person) -> None:
    """No user, and no service without the scope."""
    assert refusal(set_demand(deployment, token=None), 401) == "missing_token"
    assert set_demand(deployment, token=member.token).status_code == 401
    assert refusal(set_demand(deployment, token=deployment.backend_token), 403) == "scope_missing"
