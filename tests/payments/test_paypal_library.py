"""PayPal's own library and our rail on the same stand-in: what it answers is what the library reads.

The library knows orders, captures and refunds; neither disputes nor webhooks.
"""

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from paypalserversdk.configuration import Configuration, Environment, Server
from paypalserversdk.exceptions.error_exception import ErrorException
from paypalserversdk.http.auth.o_auth_2 import ClientCredentialsAuthCredentials
from paypalserversdk.models.amount_with_breakdown import AmountWithBreakdown
from paypalserversdk.models.checkout_payment_intent import CheckoutPaymentIntent
from paypalserversdk.models.money import Money as LibraryMoney
from paypalserversdk.models.order_request import OrderRequest
from paypalserversdk.models.purchase_unit_request import PurchaseUnitRequest
from paypalserversdk.models.refund_request import RefundRequest
from paypalserversdk.paypal_serversdk_client import PaypalServersdkClient

from local.paypal.account import MERCHANT_ID
from local.paypal.standin import PayPalStandin, start_paypal
from shared.base.clock import system_clock
from shared.base.ids import UserId
from shared.base.secret import Secret
from shared.payments import rules
from shared.payments.models import Money, Order, PaymentId, PaymentStatus, RailName, Subject
from shared.payments.paypal.gateway import PayPalGateway
from shared.payments.paypal.rail import PayPalRail
from tests.payments.builders import PACK

CLIENT = "client-library"


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PayPalStandin]:
    started = start_paypal(Path(tmp_path_factory.mktemp("paypal")))
    started.service.wait_until_ready()
    yield started
    started.service.stop()


@pytest.fixture
def client(standin: PayPalStandin, monkeypatch: pytest.MonkeyPatch) -> PaypalServersdkClient:
    """The library as its documentation has it, at another address."""
    monkeypatch.setitem(Configuration.environments, Environment.SANDBOX, {Server.DEFAULT: standin.url})
    credentials = ClientCredentialsAuthCredentials(o_auth_client_id=CLIENT, o_auth_client_secret="secret")
    return PaypalServersdkClient(client_credentials_auth_credentials=credentials, environment=Environment.SANDBOX)


@pytest.fixture
async def rail(standin: PayPalStandin) -> AsyncIterator[PayPalRail]:
    gateway = PayPalGateway(CLIENT, Secret("secret"), standin.url, system_clock)
    yield PayPalRail(gateway, MERCHANT_ID, "https://app.example/wallet", system_clock)
    await gateway.close()


def new_order(key: str) -> Order:
    order_id = rules.order_id_of(UserId("ada"), f"{key} {time.time_ns()}")
    return rules.new_order(order_id, UserId("ada"), RailName.PAYPAL, PACK, "USD", at_ms=system_clock())


async def test_the_library_reads_the_order_that_we_made(rail: PayPalRail, client: PaypalServersdkClient) -> None:
    order = new_order("made")

    checkout = await rail.begin(order)

    found = client.orders.get_order({"id": checkout.reference}).body
    [unit] = found.purchase_units
    assert (found.intent, found.status) == ("CAPTURE", "PAYER_ACTION_REQUIRED")
    assert (unit.custom_id, unit.invoice_id, unit.amount.value, unit.amount.currency_code) == (
        order.order_id,
        order.order_id,
        "4.99",
        "USD",
    )
    assert unit.payee.merchant_id == MERCHANT_ID
    assert [link.href for link in found.links if link.rel == "payer-action"] == [checkout.url]


def test_the_library_makes_an_order_on_the_stand_in(client: PaypalServersdkClient) -> None:
    amount = AmountWithBreakdown(currency_code="USD", value="1.98")
    body = OrderRequest(intent=CheckoutPaymentIntent.CAPTURE, purchase_units=[PurchaseUnitRequest(amount=amount)])

    made = client.orders.create_order({"body": body, "paypal_request_id": "library", "prefer": "return=representation"})
    again = client.orders.create_order({"body": body, "paypal_request_id": "library"})

    assert (made.status_code, made.body.id) == (201, again.body.id)


async def test_both_see_a_capture_and_its_refund(
    rail: PayPalRail, client: PaypalServersdkClient, standin: PayPalStandin
) -> None:
    order = new_order("paid")
    checkout = await rail.begin(order)
    standin.act(CLIENT, "approve", checkout.reference)
    captured = client.orders.capture_order({"id": checkout.reference, "paypal_request_id": "capture"}).body
    [capture] = captured.purchase_units[0].payments.captures
    request = RefundRequest(amount=LibraryMoney(currency_code="USD", value="1.00"), custom_id="theirs")
    refund = client.payments.refund_captured_payment({"capture_id": capture.id, "body": request}).body
    await rail.refund(PaymentId(capture.id), Money(99, "USD"), key="ours")

    seen = await rail.look(Subject("capture", capture.id))

    assert seen is not None
    assert (seen.status, seen.order_id, seen.money) == (PaymentStatus.PAID, order.order_id, order.money)
    assert sorted(found.amount_minor for found in seen.refunds) == [99, 100]
    shown = client.payments.get_captured_payment({"capture_id": capture.id}).body
    assert (shown.status, shown.custom_id, shown.amount.value) == ("PARTIALLY_REFUNDED", order.order_id, "4.99")
    assert client.payments.get_refund({"refund_id": refund.id}).body.amount.value == "1.00"


async def test_both_are_refused_alike(rail: PayPalRail, client: PaypalServersdkClient) -> None:
    checkout = await rail.begin(new_order("refused"))

    with pytest.raises(ErrorException) as refusal:
        client.orders.capture_order({"id": checkout.reference, "paypal_request_id": "too early"})

    assert refusal.value.response_code == 422
    assert refusal.value.details[0].issue == "ORDER_NOT_APPROVED"
