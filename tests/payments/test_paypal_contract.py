"""PayPal's stand-in and our gateway over HTTP: tokens, keys, refusals, and what the rail makes of it all."""

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests

from local.paypal.account import MERCHANT_ID
from local.paypal.authority import CERTIFICATE_PATH
from local.paypal.standin import PayPalStandin, start_paypal
from shared.base.clock import system_clock
from shared.base.ids import UserId
from shared.base.secret import Secret
from shared.payments import rules
from shared.payments.errors import RailRefused, RailUnavailable
from shared.payments.models import Money, Order, PaymentId, PaymentStatus, RailName, ReversalState, Subject
from shared.payments.paypal.gateway import TOKEN_LIFETIME_S_MAX, PayPalGateway
from shared.payments.paypal.rail import PayPalRail
from tests.ledger.builders import Ticker
from tests.payments.builders import PACK

CLIENT = "client-contract"
SECRET = Secret("secret")


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PayPalStandin]:
    started = start_paypal(Path(tmp_path_factory.mktemp("paypal")))
    started.service.wait_until_ready()
    yield started
    started.service.stop()


@pytest.fixture
async def gateway(standin: PayPalStandin) -> AsyncIterator[PayPalGateway]:
    opened = PayPalGateway(CLIENT, SECRET, standin.url, system_clock)
    yield opened
    await opened.close()


@pytest.fixture
def rail(gateway: PayPalGateway) -> PayPalRail:
    return PayPalRail(gateway, MERCHANT_ID, "https://app.example/wallet", system_clock)


def new_order(key: str) -> Order:
    order_id = rules.order_id_of(UserId("ada"), f"{key} {time.time_ns()}")
    return rules.new_order(order_id, UserId("ada"), RailName.PAYPAL, PACK, "USD", at_ms=system_clock())


async def test_a_payment_its_refund_and_its_dispute_are_seen_from_everywhere(
    rail: PayPalRail, standin: PayPalStandin
) -> None:
    order = new_order("paid")
    checkout = await rail.begin(order)
    standin.act(CLIENT, "approve", checkout.reference)
    first = await rail.look(Subject("order", checkout.reference))
    assert first is not None
    payment_id = PaymentId(str(first.payment_id))
    await rail.refund(payment_id, Money(100, "USD"), key="refund-1")
    await rail.refund(payment_id, Money(100, "USD"), key="refund-1")
    dispute_id = standin.act(CLIENT, "dispute", payment_id)["dispute_id"]

    seen = await rail.look(Subject("order", checkout.reference))

    assert seen is not None
    assert (seen.status, seen.order_id, seen.money) == (PaymentStatus.PAID, order.order_id, order.money)
    assert [refund.amount_minor for refund in seen.refunds] == [100]
    assert [(found.dispute_id, found.state) for found in seen.disputes] == [(dispute_id, ReversalState.OPEN)]
    subjects = [
        Subject("capture", payment_id),
        Subject("refund", seen.refunds[0].refund_id),
        Subject("dispute", dispute_id),
    ]
    assert [await rail.look(subject) for subject in subjects] == [seen] * 3


async def test_a_repeat_of_a_checkout_is_the_same_one(rail: PayPalRail) -> None:
    order = new_order("twice")

    assert await rail.begin(order) == await rail.begin(order)


async def test_a_page_takes_the_money_and_leads_back(rail: PayPalRail) -> None:
    """As in a browser: a button, and a way back to the app."""
    order = new_order("page")
    checkout = await rail.begin(order)

    assert "4.99 USD" in requests.get(checkout.url, timeout=10).text
    pressed = requests.post(checkout.url, data={"action": "approve"}, timeout=10, allow_redirects=False)

    assert pressed.headers["location"].endswith(f"order={order.order_id}&result=paid")
    seen = await rail.look(Subject("order", checkout.reference))
    assert seen is not None
    assert seen.status is PaymentStatus.PAID


async def test_whoever_leaves_the_page_has_paid_nothing(rail: PayPalRail) -> None:
    order = new_order("left")
    checkout = await rail.begin(order)

    pressed = requests.post(checkout.url, data={"action": "cancel"}, timeout=10, allow_redirects=False)

    assert pressed.headers["location"].endswith("result=cancelled")
    seen = await rail.look(Subject("order", checkout.reference))
    assert seen is not None
    assert seen.status is PaymentStatus.OPEN


async def test_what_is_not_there_is_refused(rail: PayPalRail) -> None:
    for kind in ("order", "capture", "refund", "dispute"):
        with pytest.raises(RailRefused, match="INVALID_RESOURCE_ID"):
            await rail.look(Subject(kind, "NONE"))


async def test_a_key_stands_for_one_request(gateway: PayPalGateway) -> None:
    def body(value: str) -> dict[str, Any]:
        amount = {"currency_code": "USD", "value": value}
        return {"intent": "CAPTURE", "purchase_units": [{"amount": amount}]}

    first = await gateway.post("/v2/checkout/orders", body("1.00"), key="one")

    assert await gateway.post("/v2/checkout/orders", body("1.00"), key="one") == first
    with pytest.raises(RailRefused, match="PAYPAL_REQUEST_ID_PREVIOUSLY_USED"):
        await gateway.post("/v2/checkout/orders", body("2.00"), key="one")


@pytest.mark.parametrize(
    ("value", "currency", "issue"),
    [("1.5", "JPY", "DECIMALS_NOT_SUPPORTED"), ("1.555", "USD", "DECIMAL_PRECISION"), ("x", "USD", "SYNTAX")],
)
async def test_the_stand_in_is_as_strict_about_amounts(
    gateway: PayPalGateway, value: str, currency: str, issue: str
) -> None:
    unit = {"amount": {"currency_code": currency, "value": value}}
    with pytest.raises(RailRefused, match=issue):
        await gateway.post("/v2/checkout/orders", {"intent": "CAPTURE", "purchase_units": [unit]}, key=value)


class Counted(PayPalGateway):
    """Remembers what it sent, and answers 401 as often as it is told to."""

    sent: list[str]
    refusals = 0

    async def _send(self, method: str, path: str, content: bytes | None, headers: Any) -> tuple[int, dict[str, Any]]:
        self.sent = [*getattr(self, "sent", []), path]
        if self.refusals and not path.endswith("/token"):
            self.refusals -= 1
            return 401, {"name": "AUTHENTICATION_FAILURE"}
        return await super()._send(method, path, content, headers)

    @property
    def tokens(self) -> int:
        return sum(path.endswith("/token") for path in self.sent)


@pytest.fixture
async def counted(standin: PayPalStandin, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Counted]:
    monkeypatch.setattr("shared.payments.connections.BACKOFF_S", 0)
    opened = Counted(CLIENT, SECRET, standin.url, Ticker())
    yield opened
    await opened.close()


async def ask(gateway: PayPalGateway) -> None:
    await gateway.get("/v1/customer/disputes", {"disputed_transaction_id": "NONE"})


async def test_a_token_serves_many_requests_until_shortly_before_its_end(counted: Counted) -> None:
    clock = counted._clock
    for _ in range(3):
        await ask(counted)
    assert counted.tokens == 1
    assert isinstance(clock, Ticker)

    clock.now_ms += TOKEN_LIFETIME_S_MAX * 1000 - 60_001
    await ask(counted)
    assert counted.tokens == 1
    clock.now_ms += 1
    await ask(counted)

    assert counted.tokens == 2


async def test_a_token_that_was_withdrawn_is_fetched_anew(counted: Counted) -> None:
    await ask(counted)
    counted.refusals = 1

    await ask(counted)

    assert counted.tokens == 2


async def test_whom_paypal_does_not_know_learns_nothing_of_what_they_asked(
    standin: PayPalStandin, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was asked is still to be done once the secret is right; and the log does not have it."""
    monkeypatch.setattr("shared.payments.connections.BACKOFF_S", 0)
    stranger = PayPalGateway("", Secret("very secret"), standin.url, system_clock)
    with pytest.raises(RailUnavailable):
        await ask(stranger)
    await stranger.close()

    logged = capsys.readouterr().out
    assert "invalid_client" in logged
    assert "very secret" not in logged


async def test_nobody_there_is_an_outcome_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.payments.connections.BACKOFF_S", 0)
    nobody = PayPalGateway(CLIENT, SECRET, "http://127.0.0.1:9", system_clock)
    with pytest.raises(RailUnavailable):
        await ask(nobody)
    await nobody.close()


async def test_the_api_wants_a_token_and_the_certificate_does_not(standin: PayPalStandin) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{standin.url}/v2/checkout/orders/X") as refused:
            assert refused.status == 401
        async with session.get(standin.url + CERTIFICATE_PATH) as published:
            assert await published.read() == standin.signatory.pem
