"""Razorpay's own library and ours on the same stand-in: what it answers is what the library reads."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import razorpay
from razorpay.errors import BadRequestError, SignatureVerificationError

from local.razorpay.standin import RazorpayStandin, start_razorpay
from local.razorpay.wire import sign, sign_payment
from shared.base.ids import UserId
from shared.base.secret import Secret
from shared.payments import rules
from shared.payments.errors import EventRefused
from shared.payments.models import Order, PaymentStatus, RailName, ReversalState, Subject
from shared.payments.razorpay.events import RazorpayEvents
from shared.payments.razorpay.gateway import RazorpayGateway
from shared.payments.razorpay.rail import RazorpayRail
from shared.payments.razorpay.shown import ORDER_KEY
from tests.payments.builders import PACK

CREDENTIALS = ("rzp_test_contract", "key_secret")
REFUND_KEY = {"X-Refund-Idempotency": "refund-by-library"}


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RazorpayStandin]:
    started = start_razorpay(Path(tmp_path_factory.mktemp("razorpay")))
    started.service.wait_until_ready()
    yield started
    started.service.stop()


@pytest.fixture
def client(standin: RazorpayStandin) -> razorpay.Client:
    """The library as its documentation has it, at another address."""
    return razorpay.Client(auth=CREDENTIALS, base_url=standin.url)


@pytest.fixture
async def rail(standin: RazorpayStandin) -> AsyncIterator[RazorpayRail]:
    gateway = RazorpayGateway(CREDENTIALS[0], Secret(CREDENTIALS[1]), standin.url)
    yield RazorpayRail(gateway, CREDENTIALS[0], lambda: time.time_ns() // 1_000_000)
    await gateway.close()


def new_order(key: str) -> Order:
    order_id = rules.order_id_of(UserId("ada"), key)
    at_ms = time.time_ns() // 1_000_000
    return rules.new_order(order_id, UserId("ada"), RailName.RAZORPAY, PACK, "INR", at_ms=at_ms)


async def test_the_library_reads_the_order_that_we_made(rail: RazorpayRail, client: razorpay.Client) -> None:
    order = new_order("made")

    checkout = await rail.begin(order)

    theirs = client.order.fetch(checkout.reference)
    assert (theirs["amount"], theirs["currency"], theirs["receipt"]) == (
        order.money.amount_minor,
        "INR",
        order.order_id,
    )
    assert theirs["notes"][ORDER_KEY] == order.order_id


async def test_both_see_a_payment_its_refunds_and_its_dispute(
    rail: RazorpayRail, client: razorpay.Client, standin: RazorpayStandin
) -> None:
    order = new_order("paid")
    checkout = await rail.begin(order)
    payment_id = standin.act(CREDENTIALS, "pay", checkout.reference)["id"]
    asked = {"amount": 200, "notes": {"why": "a complaint"}}
    refunds = [client.payment.refund(payment_id, dict(asked), headers=dict(REFUND_KEY)) for _ in range(2)]
    dispute_id = standin.act(CREDENTIALS, "dispute", payment_id)["id"]

    seen = await rail.look(Subject("payment", payment_id))

    assert seen is not None
    assert (seen.status, seen.order_id, seen.money) == (PaymentStatus.PAID, order.order_id, order.money)
    assert refunds[0] == refunds[1]
    assert [(found.refund_id, found.amount_minor) for found in seen.refunds] == [(refunds[0]["id"], 200)]
    assert [(found.dispute_id, found.state) for found in seen.disputes] == [(dispute_id, ReversalState.OPEN)]
    assert client.order.payments(checkout.reference)["items"][0]["id"] == payment_id
    assert client.dispute.fetch(dispute_id)["status"] == "open"
    assert [one["id"] for one in client.payment.fetch_multiple_refund(payment_id)["items"]] == [refunds[0]["id"]]


def test_the_library_understands_refusals(client: razorpay.Client, standin: RazorpayStandin) -> None:
    with pytest.raises(BadRequestError, match="does not exist"):
        client.payment.fetch("pay_none")
    with pytest.raises(BadRequestError, match="less than minimum"):
        client.order.create({"amount": 1, "currency": "INR"})
    with pytest.raises(BadRequestError, match="Authentication failed"):
        razorpay.Client(auth=(CREDENTIALS[0], "guess"), base_url=standin.url).order.all()


def test_what_we_accept_the_library_accepts(client: razorpay.Client) -> None:
    """And the bytes on which its verifier breaks, ours reads."""
    events = RazorpayEvents(Secret("webhook_secret"))
    text = json.dumps({"event": "payment.captured", "payload": {"payment": {"entity": {"id": "pay_1"}}}})
    signature = sign(text.encode(), "webhook_secret")

    assert client.utility.verify_webhook_signature(text, signature, "webhook_secret")
    assert events.read(text.encode(), {"x-razorpay-signature": signature}, now_ms=0).kind == "payment.captured"
    with pytest.raises(TypeError):
        client.utility.verify_webhook_signature(text.encode(), signature, "webhook_secret")
    with pytest.raises(TypeError):
        client.utility.verify_webhook_signature(text, "é" * 64, "webhook_secret")
    with pytest.raises(EventRefused):
        events.read(text.encode(), {"x-razorpay-signature": "é" * 64}, now_ms=0)
    with pytest.raises(SignatureVerificationError):
        client.utility.verify_webhook_signature(text, "0" * 64, "webhook_secret")


def test_the_library_verifies_what_the_browser_is_handed(client: razorpay.Client) -> None:
    handed = {
        "razorpay_order_id": "order_1",
        "razorpay_payment_id": "pay_1",
        "razorpay_signature": sign_payment("order_1", "pay_1", CREDENTIALS[1]),
    }

    assert client.utility.verify_payment_signature(handed)
