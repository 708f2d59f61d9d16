"""model_update: operators set prices, version by version; gateways sell at them and receipts name them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore

from local.deployment import Deployment
from local.oidc import OPERATOR
from local.people import Person
from local.stack import Stack
from shared.catalog.store import document_id_of
from tests.clients import add_member, answer, call, refusal

PATH = "/v1/catalog/changes"
MODEL = "google/gemma-2-2b-it"
PRICE = {"prompt_micros_per_mtok": 10_000_000, "completion_micros_per_mtok": 20_000_000}


@pytest.fixture
def shop(stack: Stack, project_id: str) -> Iterator[Deployment]:
    """A deployment of this test's own: prices are everybody's."""
    with Deployment(stack, project_id, events=False) as started:
        yield started


@pytest.fixture
def shops_documents(stack: Stack, shop: Deployment, monkeypatch: pytest.MonkeyPatch) -> Iterator[firestore.Client]:
    """Its database as an administrator sees it."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", stack.firestore_address)
    client = firestore.Client(project=shop.project_id, credentials=AnonymousCredentials())
    yield client
    client.close()


def change(shop: Deployment, expected_version: object = 0, **fields: Any) -> requests.Response:
    """An operator sets a price. `fields` replaces or adds; `token` is the caller's."""
    token = fields.pop("token", shop.operator_token)
    body = {"model": MODEL, "expected_version": expected_version, "price": PRICE, "reason": "a new list price"}
    return call(shop, "POST", PATH, token, json={**body, **fields})


def chat(shop: Deployment, person: Person) -> requests.Response:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 20}
    return call(shop, "POST", "/v1/chat/completions", person.token, json=body)


def facts_of(shop: Deployment, person: Person, response: requests.Response) -> dict[str, str]:
    """What the receipt of a chat says."""
    receipt_id = response.headers["x-credence-receipt"]
    return dict(answer(call(shop, "GET", f"/v1/receipts/{receipt_id}", person.token))["entry"]["facts"])


def test_a_change_is_a_version_that_says_who_and_why(shop: Deployment, shops_documents: firestore.Client) -> None:
    """Clients see the price; who set it is kept apart from it."""
    made = answer(change(shop))

    assert (made["version"], made["price_version"], made["enabled"], made["repeated"]) == (1, "1", True, False)
    current = shops_documents.document(f"models/{document_id_of(MODEL)}").get().to_dict() or {}
    assert current["price"] == {**PRICE, "sure": True}
    assert not {"by", "why"} & current.keys()
    kept = shops_documents.document(f"models/{document_id_of(MODEL)}/versions/1").get().to_dict() or {}
    assert (kept["by"], kept["why"]) == (f"service:{OPERATOR}", "a new list price")
    assert kept["at"] is not None


def test_a_new_process_sells_at_it_and_the_receipt_names_the_version(stack: Stack, project_id: str) -> None:
    """Before any change the receipt names the file's price."""
    with Deployment(stack, project_id, events=False) as shop:
        person = add_member(stack, shop)
        before = facts_of(shop, person, chat(shop, person))
        answer(change(shop))
    with Deployment(stack, project_id, events=False) as shop:
        sold = facts_of(shop, person, chat(shop, person))
        listed = answer(call(shop, "GET", f"/v1/models/{MODEL}"))

    assert before["price_version"].startswith("file-")
    assert sold["price_version"] == listed["price_version"] == "1"
    assert (sold["prompt_tokens_rate"], sold["completion_tokens_rate"]) == ("10000000", "20000000")
    assert listed["pricing"]["prompt_micros_per_mtok"] == 10_000_000


def test_a_disabled_model_is_neither_listed_nor_called(stack: Stack, project_id: str) -> None:
    """For everybody, in every process that starts after."""
    with Deployment(stack, project_id, events=False) as shop:
        person = add_member(stack, shop)
        answer(change(shop, price=None, enabled=False))
    with Deployment(stack, project_id, events=False) as shop:
        assert refusal(chat(shop, person), 404) == "model_not_found"
        assert refusal(call(shop, "GET", f"/v1/models/{MODEL}"), 404) == "model_not_found"
        assert MODEL not in {model["id"] for model in answer(call(shop, "GET", "/v1/models"))["data"]}


def test_what_somebody_wrote_by_hand_is_no_free_call(
    stack: Stack, shop: Deployment, project_id: str, shops_documents: firestore.Client
) -> None:
    """The file's price stands in, and an alarm says so."""
    answer(change(shop))
    document = shops_documents.document(f"models/{document_id_of(MODEL)}")
    document.update({"price": {"prompt_micros_per_mtok": -1, "completion_micros_per_mtok": 0}})
    with Deployment(stack, project_id, events=False) as later:
        person = add_member(stack, later)
        sold = facts_of(later, person, chat(later, person))
        log = later.log

    assert sold["price_version"].startswith("file-")
    assert '"message":"catalog_edit_ignored"' in log


def test_of_operators_at_once_one_wins(shop: Deployment) -> None:
    """The others are told the version there is."""

    def ask(micros: int) -> requests.Response:
        return change(shop, price={**PRICE, "prompt_micros_per_mtok": micros})

    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(ask, range(1, 9)))

    assert [response.status_code for response in responses].count(200) == 1
    refused = [response for response in responses if response.status_code != 200]
    assert {refusal(response, 409) for response in refused} == {"model_version_conflict"}
    assert {response.json()["error"]["version"] for response in refused} == {1}


def test_a_repeat_answers_the_same(shop: Deployment) -> None:
    """An operator who never saw the answer asks again."""
    first = answer(change(shop))
    answer(change(shop, 1, price={**PRICE, "prompt_micros_per_mtok": 5}))

    assert answer(change(shop)) == {**first, "repeated": True}


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"price": {**PRICE, "prompt_micros_per_mtok": -1}}, 400, "invalid_request"),
        ({"price": {**PRICE, "prompt_micros_per_mtok": 0}}, 400, "invalid_request"),
        ({"price": {**PRICE, "prompt_micros_per_mtok": 2**63}}, 400, "invalid_request"),
        ({"price": {**PRICE, "prompt_micros_per_mtok": 2**64}}, 400, "invalid_request"),
        ({"price": {**PRICE, "prompt_micros_per_mtok": 1.5}}, 400, "invalid_request"),
        ({"price": {**PRICE, "prompt_micros_per_mtok": "1"}}, 400, "invalid_request"),
        ({"price": {**PRICE, "free": True}}, 400, "invalid_request"),
        ({"price": {"prompt_micros_per_mtok": 1}}, 400, "model_change_invalid"),
        ({"price": {}}, 400, "model_change_invalid"),
        ({"price": {**PRICE, "cached_micros_per_mtok": 10**9}}, 400, "model_change_invalid"),
        ({"price": None}, 400, "invalid_request"),
        ({"expected_version": -1}, 400, "invalid_request"),
        ({"expected_version": True}, 400, "invalid_request"),
        ({"expected_version": 1}, 409, "model_version_conflict"),
        ({"enabled": "no"}, 400, "invalid_request"),
        ({"reason": ""}, 400, "invalid_request"),
        ({"model": "maker/unknown"}, 404, "model_not_found"),
        ({"model": "../accounts"}, 400, "invalid_request"),
        ({"routes": []}, 400, "invalid_request"),
    ],
)
def test_what_cannot_be_a_price_is_refused(
    deployment: Deployment, documents: firestore.Client, fields: dict[str, Any], status: int, code: str
) -> None:
    """Nothing is written."""
    assert refusal(change(deployment, **fields), status) == code
    assert not documents.document(f"models/{document_id_of(MODEL)}").get().exists


def test_only_operators_change_prices(deployment: Deployment, member: Person) -> None:
    """No user, and no service without the scope."""
    assert refusal(change(deployment, token=None), 401) == "missing_token"
    assert call(deployment, "POST", PATH, member.token, json={}).status_code == 401
    assert refusal(change(deployment, token=deployment.backend_token), 403) == "scope_missing"
    assert refusal(change(deployment, token=deployment.scheduler_token), 403) == "scope_missing"
