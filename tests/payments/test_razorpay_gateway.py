"""Razorpay's API over HTTP, at the stand-in: credentials, refusals, keys, and events that are delivered until taken."""

import http.server
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import requests
from msgspec.structs import replace

from local.process import HOST
from local.razorpay.standin import TIMEOUT_S, RazorpayStandin, start_razorpay
from local.razorpay.wire import sign_payment
from shared.base.ids import UserId
from shared.base.secret import Secret
from shared.payments import rules
from shared.payments.errors import RailRefused, RailUnavailable
from shared.payments.models import Order, PaymentId, PaymentStatus, RailName, ReversalState, Subject
from shared.payments.razorpay.confirmation import RazorpayConfirmation
from shared.payments.razorpay.events import RazorpayEvents
from shared.payments.razorpay.gateway import RazorpayGateway
from shared.payments.razorpay.rail import RazorpayRail
from tests.payments.builders import PACK

CREDENTIALS = ("rzp_test_gateway", "key_secret")
WEBHOOK_SECRET = "webhook_secret"


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RazorpayStandin]:
    started = start_razorpay(Path(tmp_path_factory.mktemp("razorpay")))
    started.service.wait_until_ready()
    yield started
    started.service.stop()


@pytest.fixture
async def gateway(standin: RazorpayStandin) -> AsyncIterator[RazorpayGateway]:
    opened = RazorpayGateway(CREDENTIALS[0], Secret(CREDENTIALS[1]), standin.url)
    yield opened
    await opened.close()


@pytest.fixture
def rail(gateway: RazorpayGateway) -> RazorpayRail:
    return RazorpayRail(gateway, CREDENTIALS[0], lambda: time.time_ns() // 1_000_000)


def new_order(key: str) -> Order:
    order_id = rules.order_id_of(UserId("ada"), key)
    at_ms = time.time_ns() // 1_000_000
    return rules.new_order(order_id, UserId("ada"), RailName.RAZORPAY, PACK, "INR", at_ms=at_ms)


async def test_an_order_is_paid_refunded_and_disputed(rail: RazorpayRail, standin: RazorpayStandin) -> None:
    order = new_order("whole way")
    checkout = await rail.begin(order)
    payment_id = PaymentId(standin.act(CREDENTIALS, "pay", checkout.reference)["id"])
    for _ in range(2):
        await rail.refund(payment_id, replace(order.money, amount_minor=100), key="refund-a-part")
    dispute_id = standin.act(CREDENTIALS, "dispute", payment_id)["id"]

    seen = await rail.look(Subject("order", checkout.reference))

    assert await rail.begin(order) == checkout
    assert seen is not None
    assert (seen.status, seen.order_id, seen.money) == (PaymentStatus.PAID, order.order_id, order.money)
    assert [found.amount_minor for found in seen.refunds] == [100]
    assert [(found.dispute_id, found.state) for found in seen.disputes] == [(dispute_id, ReversalState.OPEN)]


async def test_what_is_not_there_is_refused(rail: RazorpayRail) -> None:
    with pytest.raises(RailRefused, match="BAD_REQUEST_ERROR"):
        await rail.look(Subject("payment", "pay_none"))


async def test_a_wrong_secret_reaches_nothing(rail: RazorpayRail, standin: RazorpayStandin) -> None:
    await rail.begin(new_order("to know the account"))
    guessing = RazorpayGateway(CREDENTIALS[0], Secret("guess"), standin.url)
    with pytest.raises(RailRefused, match="BAD_REQUEST_ERROR"):
        await guessing.get("/v1/orders", {})
    await guessing.close()
    for headers in ({}, {"authorization": "Bearer x"}, {"authorization": "Basic !"}):
        refused = requests.get(f"{standin.url}/v1/orders", headers=headers, timeout=TIMEOUT_S)
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "BAD_REQUEST_ERROR")


async def test_nobody_there_is_an_outcome_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.payments.connections.BACKOFF_S", 0)
    nobody = RazorpayGateway(CREDENTIALS[0], Secret(CREDENTIALS[1]), "http://127.0.0.1:9")
    with pytest.raises(RailUnavailable):
        await nobody.get("/v1/orders", {})
    await nobody.close()


async def test_the_page_hands_out_what_a_confirmation_takes(rail: RazorpayRail, standin: RazorpayStandin) -> None:
    order = new_order("handed out")
    checkout = await rail.begin(order)
    page = standin.page_of(CREDENTIALS[0], checkout.reference)
    assert checkout.reference in requests.get(standin.url, timeout=TIMEOUT_S).text

    declined = requests.post(page, data={"action": "decline"}, timeout=TIMEOUT_S)
    handed = requests.post(page, data={"action": "pay"}, timeout=TIMEOUT_S).json()

    assert "attempted" in declined.text
    payment_id, signature = handed["razorpay_payment_id"], handed["razorpay_signature"]
    reader = RazorpayConfirmation(Secret(CREDENTIALS[1]))
    begun = replace(order, checkout=checkout)
    assert reader.subject(begun, payment_id, signature) == Subject("payment", payment_id)
    assert signature == sign_payment(checkout.reference, payment_id, CREDENTIALS[1])
    assert requests.get(standin.page_of("rzp_test_none", "order_1"), timeout=TIMEOUT_S).status_code == 404


async def test_an_event_is_delivered_until_it_is_taken(rail: RazorpayRail, standin: RazorpayStandin) -> None:
    """The same bytes under the same id, so a repeat is known as one."""
    taken: list[tuple[bytes, dict[str, str]]] = []

    class Shop(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            taken.append((raw, {name.lower(): value for name, value in self.headers.items()}))
            self.send_response(200 if len(taken) > 1 else 503)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    with http.server.ThreadingHTTPServer((HOST, 0), Shop) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        checkout = await rail.begin(new_order("delivered"))
        standin.hook(CREDENTIALS, f"http://{HOST}:{server.server_port}/", WEBHOOK_SECRET)
        standin.act(CREDENTIALS, "decline", checkout.reference)
        gives_up_at_s = time.monotonic() + TIMEOUT_S
        while len(taken) < 2 and time.monotonic() < gives_up_at_s:
            time.sleep(0.02)
        server.shutdown()

    (first, first_headers), (second, second_headers) = taken
    assert (first, first_headers["x-razorpay-event-id"]) == (second, second_headers["x-razorpay-event-id"])
    event = RazorpayEvents(Secret(WEBHOOK_SECRET)).read(first, first_headers, now_ms=0)
    assert (event.kind, json.loads(first)["entity"]) == ("payment.failed", "event")
