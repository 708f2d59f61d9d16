"""A thief at our door with stolen cards, many accounts and a header of their own."""

import secrets

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore

from local.buyer import Buyer
from local.deployment import Deployment
from local.people import Person
from local.stack import Stack
from shared.risk.limits import CARD_USERS_MAX, CHECKOUT_LIMITS, DECLINES_PER_CHECKOUT_MAX
from shared.risk.models import SignalKind
from tests.clients import add_member, answer, balance_micros, call, refusal

CREDIT = 1_000_000
ORDERS_MAX = CHECKOUT_LIMITS[SignalKind.USER][0].marks_max


def try_checkout(deployment: Deployment, person: Person, headers: dict[str, str]) -> tuple[int, dict[str, object]]:
    body = {"rail": "stripe", "pack": "starter", "currency": "USD", "idempotency_key": secrets.token_hex(8)}
    response = call(deployment, "POST", "/v1/checkout", person.token, json=body, headers=headers)
    if response.status_code == 429:
        assert refusal(response, 429) == "checkout_too_often"
        assert int(response.headers["retry-after"]) > 0
    return response.status_code, response.json()


def test_many_accounts_on_one_device_are_one_buyer_whatever_address_they_claim(
    stack: Stack, deployment: Deployment
) -> None:
    """Each account alone is below its limit, and each request comes from another address, if it is believed."""
    device = {"x-credence-device": f"farm-{secrets.token_hex(6)}"}
    thieves = [add_member(stack, deployment) for _ in range(3)]

    tried = [
        try_checkout(deployment, thieves[number % 3], {**device, "x-forwarded-for": f"198.51.100.{number}, 10.0.0.1"})
        for number in range(ORDERS_MAX + 2)
    ]

    assert [status for status, _ in tried] == [200] * ORDERS_MAX + [429] * 2
    assert tried[-1][1]["error"]["reason"] == "device_orders"  # type: ignore[index]


def test_one_address_is_one_address_behind_whatever_its_client_writes_before_it(
    stack: Stack, deployment: Deployment
) -> None:
    """Google's front end writes the last one; a front end that appends to what a client sent leaves it the last."""
    limit = CHECKOUT_LIMITS[SignalKind.ADDRESS][0].marks_max
    last = f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::1"
    thieves = [add_member(stack, deployment) for _ in range(-(-limit // ORDERS_MAX) + 1)]

    statuses = [
        try_checkout(deployment, thieves[number % len(thieves)], {"x-forwarded-for": f"198.51.100.{number}, {last}"})[0]
        for number in range(limit + 1)
    ]

    assert statuses == [200] * limit + [429]


def test_a_page_on_which_cards_are_tried_is_closed(stack: Stack, deployment: Deployment) -> None:
    buyer = Buyer(deployment, stack.stripe, add_member(stack, deployment).token)
    order = buyer.order()
    session_id = order["url"].rpartition("/")[2]
    for number in range(DECLINES_PER_CHECKOUT_MAX):
        stack.stripe.act(deployment.stripe_key, "decline", session_id, card=f"stolen {number}")

    buyer.wait_until(order, "expired")

    assert buyer.get(order)["url"] is None


@pytest.fixture
def held(stack: Stack, deployment: Deployment) -> tuple[Person, str]:
    """Somebody who paid with a card that others paid with, and their order."""
    card = secrets.token_hex(8)
    for number in range(CARD_USERS_MAX + 1):
        person = add_member(stack, deployment)
        buyer = Buyer(deployment, stack.stripe, person.token)
        order = buyer.order()
        stack.stripe.act(deployment.stripe_key, "pay", order["url"].rpartition("/")[2], card=card)
        buyer.wait_until(order, "granted" if number < CARD_USERS_MAX else "paid")
    return person, str(order["order_id"])


def test_what_a_shared_card_bought_waits_for_a_person_and_all_is_on_the_record(
    stack: Stack, deployment: Deployment, held: tuple[Person, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    person, order_id = held
    path = f"/v1/orders/{order_id}/release"
    before = balance_micros(deployment, person)

    assert refusal(call(deployment, "POST", path, person.token, json={"reason": "mine"}), 401) == "invalid_token"
    assert refusal(call(deployment, "POST", path, deployment.backend_token, json={"reason": "x"}), 403)
    released = answer(call(deployment, "POST", path, deployment.operator_token, json={"reason": "a family"}))

    assert released["order"]["state"] == "granted"
    assert balance_micros(deployment, person) == before + 100 * CREDIT
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", stack.firestore_address)
    client = firestore.Client(project=deployment.project_id, credentials=AnonymousCredentials())
    record = client.collection("decisions").document(f"order:{order_id}").get().to_dict()
    client.close()
    assert record["owner"] == person.uid
    assert [(one["rule"], one["outcome"]) for one in record["decisions"]] == [
        ("card_shared", "set aside"),
        ("hold_release", "a family"),
    ]
    assert record["decisions"][1]["by"].startswith("service:")
