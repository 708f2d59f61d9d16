"""Buying by PayPal on the local stack: the page, one webhook, one task that captures, and the credits."""

import time

import pytest
import requests

from local.buyer import Buyer, Order
from local.deployment import PAYPAL_PATH, Deployment
from local.paypal.authority import Signatory, approval_of
from local.people import Person
from local.stack import Stack
from tests.clients import TIMEOUT_S, add_member, answer, balance_micros, call, refusal
from tests.payments.paypal_bench import thief

CREDIT = 1_000_000
WELCOME = 250 * CREDIT


@pytest.fixture
def person(stack: Stack, deployment: Deployment) -> Person:
    return add_member(stack, deployment)


@pytest.fixture
def buyer(stack: Stack, deployment: Deployment, person: Person) -> Buyer:
    return Buyer(deployment, stack.stripe, person.token)


def press(order: Order, action: str) -> str:
    """A button of the page; where it leads."""
    pressed = requests.post(order["url"], data={"action": action}, timeout=TIMEOUT_S, allow_redirects=False)
    return pressed.headers["location"]


def deliver(deployment: Deployment, order: Order, by: Signatory, webhook_id: str) -> requests.Response:
    raw = approval_of(order["url"].rpartition("/")[2])
    headers = by.sign(raw, webhook_id, int(time.time()))
    return requests.post(deployment.url + PAYPAL_PATH, data=raw, headers=headers, timeout=TIMEOUT_S)


def test_a_pack_that_is_approved_is_captured_granted_and_given_back(
    deployment: Deployment, person: Person, buyer: Buyer
) -> None:
    order = buyer.order("popular", rail="paypal")

    assert press(order, "approve").endswith(f"order={order['order_id']}&result=paid")

    granted = buyer.wait_until(order, "granted")
    assert balance_micros(deployment, person) == WELCOME + 550 * CREDIT
    assert granted["invoice"]
    answer(call(deployment, "POST", f"/v1/orders/{order['order_id']}/refund", person.token, json={}))
    buyer.wait_until(order, "refunded")
    assert balance_micros(deployment, person) == WELCOME


def test_what_others_sign_grants_nothing(stack: Stack, deployment: Deployment, person: Person, buyer: Buyer) -> None:
    """A stranger's key, and PayPal's own for somebody else's webhook."""
    order = buyer.order(rail="paypal")

    for by, webhook_id in (
        (thief(), deployment.paypal_webhook_id),
        (stack.paypal.signatory, "WEBHOOK_ID"),
        (stack.paypal.signatory, "1JE4291016473214C"),
    ):
        assert refusal(deliver(deployment, order, by, webhook_id), 400) == "event_refused"

    assert deliver(deployment, order, stack.paypal.signatory, deployment.paypal_webhook_id).status_code == 200
    assert balance_micros(deployment, person) == WELCOME
