"""Buying on the local stack as people do: order, pay, and the credits come by one webhook and one task."""

import json
import time

import pytest
import requests

from local.buyer import Buyer
from local.deployment import WEBHOOK_SECRET, Deployment
from local.people import Person
from local.razorpay.wire import sign as sign_razorpay
from local.stack import Stack
from local.stripe.wire import sign
from tests.clients import TIMEOUT_S, add_member, answer, balance_micros, call, refusal

CREDIT = 1_000_000
WELCOME = 250 * CREDIT
DEADLINE_S = 30.0


@pytest.fixture
def person(stack: Stack, deployment: Deployment) -> Person:
    return add_member(stack, deployment)


@pytest.fixture
def buyer(stack: Stack, deployment: Deployment, person: Person) -> Buyer:
    return Buyer(deployment, stack.stripe, person.token)


def wait_for_balance(deployment: Deployment, person: Person, micros: int) -> None:
    gives_up_at_s = time.monotonic() + DEADLINE_S
    while (seen := balance_micros(deployment, person)) != micros:
        assert time.monotonic() < gives_up_at_s, f"{seen} micros, not {micros}\n{deployment.log[-2000:]}"
        time.sleep(0.05)


def test_a_pack_that_is_paid_is_granted(deployment: Deployment, person: Person, buyer: Buyer) -> None:
    order = buyer.buy("popular")

    assert balance_micros(deployment, person) == WELCOME + 550 * CREDIT
    assert (order["amount_minor"], order["currency"], order["url"]) == (499, "USD", None)
    assert order["invoice"]


def test_the_page_of_the_stand_in_takes_the_money(deployment: Deployment, person: Person, buyer: Buyer) -> None:
    """As in a browser: a button, and a way back to the app."""
    order = buyer.order()

    assert "USD" in requests.get(order["url"], timeout=TIMEOUT_S).text
    paid = requests.post(order["url"], data={"action": "pay"}, timeout=TIMEOUT_S, allow_redirects=False)

    assert paid.headers["location"].endswith(f"order={order['order_id']}&result=paid")
    buyer.wait_until(order, "granted")


def test_a_repeat_of_an_order_is_the_same_order(deployment: Deployment, person: Person) -> None:
    body = {"rail": "stripe", "pack": "starter", "currency": "INR", "idempotency_key": "once"}

    first, second = (answer(call(deployment, "POST", "/v1/checkout", person.token, json=body)) for _ in range(2))

    assert first == second
    other = {**body, "pack": "popular"}
    assert refusal(call(deployment, "POST", "/v1/checkout", person.token, json=other), 409) == "idempotency_key_reused"


def test_what_is_not_sold_is_refused(deployment: Deployment, person: Person, buyer: Buyer) -> None:
    body = {"rail": "stripe", "pack": "starter", "currency": "USD", "idempotency_key": "x"}
    for wrong in ({"pack": "huge"}, {"currency": "EUR"}):
        refused = call(deployment, "POST", "/v1/checkout", person.token, json={**body, **wrong})
        assert refusal(refused, 404) == "pack_not_found"
    packs = answer(call(deployment, "GET", "/v1/packs"))
    assert packs["rails"] == ["stripe", "paypal", "razorpay", "crypto", "x402"]
    assert [pack["prices_minor"]["USD"] for pack in packs["data"]] == [99, 499, 899]


def test_a_stranger_sees_no_order(stack: Stack, deployment: Deployment, person: Person, buyer: Buyer) -> None:
    """Of one that is paid and invoiced as little as of one that is none: the answers differ in nothing."""
    order, stranger = buyer.buy(), add_member(stack, deployment)

    for method, path, body in (
        ("GET", "", None),
        ("POST", "/refund", {}),
        ("POST", "/confirm", {"payment_id": "pay_1", "signature": "0" * 64}),
    ):
        answers = [
            call(deployment, method, f"/v1/orders/{order_id}{path}", stranger.token, json=body)
            for order_id in (order["order_id"], "a" * 24)
        ]
        assert [refusal(one, 404) for one in answers] == ["order_not_found"] * 2
        theirs, none = ({**one.json()["error"], "request_id": ""} for one in answers)
        assert theirs == none
    assert answer(call(deployment, "GET", f"/v1/orders/{order['order_id']}", person.token))["order"]["invoice"]


def test_a_stranger_reads_no_invoice(stack: Stack, deployment: Deployment, person: Person, buyer: Buyer) -> None:
    """Where apps read them, over Firestore's own HTTP: no more than of an invoice that is none."""
    order, stranger = buyer.buy(), add_member(stack, deployment)
    documents = f"http://{stack.firestore_address}/v1/projects/{deployment.project_id}/databases/(default)/documents"

    for collection in ("invoices", "orders"):
        theirs, none, own = (
            requests.get(
                f"{documents}/{collection}/{order_id}",
                headers={"authorization": f"Bearer {token}"},
                timeout=TIMEOUT_S,
            )
            for order_id, token in (
                (order["order_id"], stranger.token),
                ("a" * 24, stranger.token),
                (order["order_id"], person.token),
            )
        )
        assert (theirs.status_code, none.status_code, own.status_code) == (403, 403, 200)
        assert order["invoice"] in own.text
        assert order["invoice"] not in theirs.text


def test_a_forged_event_grants_nothing(deployment: Deployment, person: Person, buyer: Buyer) -> None:
    about = {"object": "checkout.session", "id": buyer.order()["url"].rpartition("/")[2]}
    raw = json.dumps({"id": "evt_1", "type": "checkout.session.completed", "data": {"object": about}})
    for secret in ("whsec_guess", "x"):
        headers = {"stripe-signature": sign(raw.encode(), secret, int(time.time()))}
        forged = requests.post(deployment.url + "/v1/webhooks/stripe", data=raw, headers=headers, timeout=TIMEOUT_S)
        assert refusal(forged, 400) == "event_refused"
    assert balance_micros(deployment, person) == WELCOME
    assert WEBHOOK_SECRET not in deployment.log


def test_a_dispute_sets_aside_and_its_end_decides(deployment: Deployment, person: Person, buyer: Buyer) -> None:
    for won, left in ((True, 100 * CREDIT), (False, 0)):
        before = balance_micros(deployment, person)
        order = buyer.order()
        intent_id = buyer.pay(order)
        buyer.wait_until(order, "granted")
        dispute_id = buyer.stripe.act(deployment.stripe_key, "dispute", intent_id)["id"]
        wait_for_balance(deployment, person, before)

        buyer.stripe.act(deployment.stripe_key, "decide", dispute_id, status="won" if won else "lost")

        wait_for_balance(deployment, person, before + left)


def test_buyers_and_operators_give_money_back(deployment: Deployment, person: Person, buyer: Buyer) -> None:
    first, second = buyer.buy(), buyer.buy()

    own = answer(call(deployment, "POST", f"/v1/orders/{first['order_id']}/refund", person.token, json={}))
    body = {"order_id": second["order_id"], "reason": "a complaint", "idempotency_key": "1"}
    operators = answer(call(deployment, "POST", "/v1/refunds", deployment.operator_token, json=body))

    assert (own["order"]["state"], operators["order"]["state"]) == ("refunded", "refunded")
    wait_for_balance(deployment, person, WELCOME)
    assert refusal(call(deployment, "POST", "/v1/refunds", deployment.backend_token, json=body), 403) == "scope_missing"


def test_without_a_secret_there_is_no_webhook_and_no_checkout(stack: Stack) -> None:
    secrets_of_rails = ("STRIPE_WEBHOOK_SECRET", "STRIPE_API_KEY", "RAZORPAY_WEBHOOK_SECRET", "CRYPTO_RPC_URL")
    nothing = {**dict.fromkeys(secrets_of_rails, ""), "PAYPAL_WEBHOOK_ID": "WEBHOOK_ID"}
    with Deployment(stack, f"demo-unsold-{time.time_ns()}", environment=nothing, events=False) as deployment:
        person = add_member(stack, deployment)
        body = {"rail": "stripe", "pack": "starter", "currency": "USD", "idempotency_key": "x"}
        headers = {"stripe-signature": sign(b"{}", "", int(time.time()))}
        event = call(deployment, "POST", "/v1/webhooks/stripe", data=b"{}", headers=headers)

        assert refusal(event, 404) == "rail_not_offered"
        razorpays = {"x-razorpay-signature": sign_razorpay(b"{}", "")}
        event = call(deployment, "POST", "/v1/webhooks/razorpay", data=b"{}", headers=razorpays)
        assert refusal(event, 404) == "rail_not_offered"
        confirmed = {"payment_id": "pay_1", "signature": "0" * 64}
        path = f"/v1/orders/{'a' * 24}/confirm"
        assert refusal(call(deployment, "POST", path, person.token, json=confirmed), 404) == "rail_not_offered"
        assert refusal(call(deployment, "POST", "/v1/checkout", person.token, json=body), 404) == "rail_not_offered"
        assert answer(call(deployment, "GET", "/v1/packs"))["rails"] == []
