"""Buying by Razorpay on the local stack: an order, its page, what the browser is handed, the event, and thieves."""

import json
import secrets
from typing import Any

import pytest
import requests

from local.buyer import Buyer, Order
from local.deployment import RAZORPAY_PATH, STRIPE_PATH, WEBHOOK_SECRET, Deployment
from local.people import Person
from local.razorpay.wire import sign, sign_payment
from local.stack import Stack
from local.stripe.wire import sign as sign_stripe
from tests.clients import TIMEOUT_S, add_member, answer, balance_micros, call, refusal

CREDIT = 1_000_000
WELCOME = 250 * CREDIT


@pytest.fixture
def person(stack: Stack, deployment: Deployment) -> Person:
    return add_member(stack, deployment)


@pytest.fixture
def buyer(stack: Stack, deployment: Deployment, person: Person) -> Buyer:
    return Buyer(deployment, stack.stripe, person.token)


def pay(stack: Stack, deployment: Deployment, order: Order, **fields: str) -> dict[str, Any]:
    """The button of the page; what it shows, as the checkout's handler is given it."""
    parameters = order["parameters"]
    page = stack.razorpay.page_of(parameters["key"], parameters["order_id"])
    assert "INR" in requests.get(page, timeout=TIMEOUT_S).text
    pressed = requests.post(page, data={"action": "pay", **fields}, timeout=TIMEOUT_S)
    shown: dict[str, Any] = pressed.json()
    return shown


def confirm(deployment: Deployment, token: str, order: Order, payment_id: str, signature: str) -> requests.Response:
    body = {"payment_id": payment_id, "signature": signature}
    return call(deployment, "POST", f"/v1/orders/{order['order_id']}/confirm", token, json=body)


def test_a_pack_that_is_paid_is_granted_by_its_event_and_given_back(
    stack: Stack, deployment: Deployment, person: Person, buyer: Buyer
) -> None:
    order = buyer.order_by_razorpay("popular")
    assert (order["amount_minor"], order["currency"], order["url"]) == (39_900, "INR", None)
    assert order["parameters"]["amount"] == 39_900

    pay(stack, deployment, order)

    granted = buyer.wait_until(order, "granted")
    assert (granted["parameters"], balance_micros(deployment, person)) == (None, WELCOME + 550 * CREDIT)
    answer(call(deployment, "POST", f"/v1/orders/{order['order_id']}/refund", person.token, json={}))
    buyer.wait_until(order, "refunded")
    assert balance_micros(deployment, person) == WELCOME


def test_the_page_calls_back_and_the_answer_is_granted(
    stack: Stack, deployment: Deployment, person: Person, buyer: Buyer
) -> None:
    """Once, with the callback, a repeat of it, and three events."""
    order = buyer.order_by_razorpay()
    url = f"{deployment.url}/v1/orders/{order['order_id']}/confirm"

    shown = pay(stack, deployment, order, confirm=url, token=person.token)

    assert shown["confirmed"]["order"]["state"] == "granted"
    repeat = confirm(deployment, person.token, order, shown["razorpay_payment_id"], shown["razorpay_signature"])
    assert answer(repeat)["order"]["state"] == "granted"
    assert balance_micros(deployment, person) == WELCOME + 100 * CREDIT


def test_no_confirmation_is_worth_anything_elsewhere(
    stack: Stack, deployment: Deployment, person: Person, buyer: Buyer
) -> None:
    """Another's order, another order of one's own, an order of another rail, a made-up signature, none."""
    paid, other, by_card = buyer.order_by_razorpay(), buyer.order_by_razorpay("best_value"), buyer.order()
    thief = add_member(stack, deployment)
    shown = pay(stack, deployment, paid)
    payment_id, signature = shown["razorpay_payment_id"], shown["razorpay_signature"]
    forged = sign_payment(other["parameters"]["order_id"], payment_id, "")

    assert refusal(confirm(deployment, thief.token, paid, payment_id, signature), 404) == "order_not_found"
    for order, shown_signature in ((other, signature), (by_card, signature), (other, forged)):
        refused = confirm(deployment, person.token, order, payment_id, shown_signature)
        assert refusal(refused, 400) == "confirmation_refused"
    assert confirm(deployment, person.token, other, payment_id, "").status_code == 400
    buyer.wait_until(paid, "granted")
    assert (buyer.get(other)["state"], buyer.get(by_card)["state"]) == ("pending", "pending")
    assert (balance_micros(deployment, person), balance_micros(deployment, thief)) == (WELCOME + 100 * CREDIT, WELCOME)


def test_a_thief_at_the_webhook_gets_nothing(
    stack: Stack, deployment: Deployment, person: Person, buyer: Buyer
) -> None:
    """Forged, unsigned, signed with nothing, another rail's, and a true event told again under other ids."""
    order = buyer.order_by_razorpay()
    pay(stack, deployment, order)
    buyer.wait_until(order, "granted")
    event = stack.razorpay.newest_event(deployment.razorpay_credentials)
    raw = json.dumps(event).encode()

    def post(path: str, headers: dict[str, str]) -> requests.Response:
        return requests.post(deployment.url + path, data=raw, headers=headers, timeout=TIMEOUT_S)

    for wrong in ("", sign(raw, ""), sign(raw, "guess"), sign(raw + b" ", WEBHOOK_SECRET)):
        assert refusal(post(RAZORPAY_PATH, {"x-razorpay-signature": wrong}), 400) == "event_refused"
    stripes = {"stripe-signature": sign_stripe(raw, WEBHOOK_SECRET, event["created_at"])}
    assert refusal(post(RAZORPAY_PATH, stripes), 400) == "event_refused"
    good = {"x-razorpay-signature": sign(raw, WEBHOOK_SECRET)}
    assert refusal(post(STRIPE_PATH, good), 400) == "event_refused"
    for _ in range(3):
        assert post(RAZORPAY_PATH, {**good, "x-razorpay-event-id": secrets.token_hex(7)}).status_code == 200
    assert balance_micros(deployment, person) == WELCOME + 100 * CREDIT
    assert WEBHOOK_SECRET not in deployment.log
