"""Stripe's own library and ours on the same stand-in: what it answers is what the library reads."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import stripe

from local.stripe.standin import StripeStandin, start_stripe
from local.stripe.wire import sign
from shared.base.ids import UserId
from shared.base.payment_mode import PaymentMode
from shared.base.secret import Secret
from shared.payments import rules
from shared.payments.errors import EventRefused, RailRefused, RailUnavailable
from shared.payments.models import Order, PaymentId, PaymentStatus, RailName, ReversalState, Subject
from shared.payments.stripe.events import StripeEvents
from shared.payments.stripe.gateway import StripeGateway
from shared.payments.stripe.rail import ORDER_KEY, StripeRail
from tests.payments.builders import PACK

KEY = "sk_test_contract"


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StripeStandin]:
    started = start_stripe(Path(tmp_path_factory.mktemp("stripe")))
    started.service.wait_until_ready()
    yield started
    started.service.stop()


@pytest.fixture
def client(standin: StripeStandin) -> stripe.StripeClient:
    """The library as its documentation has it, at another address."""
    return stripe.StripeClient(KEY, base_addresses={"api": standin.url})


@pytest.fixture
async def gateway(standin: StripeStandin) -> AsyncIterator[StripeGateway]:
    opened = StripeGateway(Secret(KEY), standin.url)
    yield opened
    await opened.close()


@pytest.fixture
def rail(gateway: StripeGateway) -> StripeRail:
    return StripeRail(gateway, "https://app.example/wallet", PaymentMode.TEST)


def new_order(key: str) -> Order:
    order_id = rules.order_id_of(UserId("ada"), key)
    at_ms = time.time_ns() // 1_000_000
    return rules.new_order(order_id, UserId("ada"), RailName.STRIPE, PACK, "INR", at_ms=at_ms)


async def test_the_library_reads_the_checkout_that_we_made(rail: StripeRail, client: stripe.StripeClient) -> None:
    order = new_order("made")

    checkout = await rail.begin(order)

    session = client.v1.checkout.sessions.retrieve(checkout.reference)
    assert (session.amount_total, session.currency) == (PACK.prices_minor["INR"], "inr")
    assert session.client_reference_id == order.order_id
    assert session.metadata is not None
    assert session.metadata[ORDER_KEY] == order.order_id
    assert session.url == checkout.url


async def test_one_order_has_one_checkout(rail: StripeRail) -> None:
    order = new_order("once")

    assert await rail.begin(order) == await rail.begin(order)


async def test_the_library_makes_the_checkout_that_we_would(client: stripe.StripeClient) -> None:
    """Both write the same form, so the stand-in reads the library's as it reads ours."""
    made = client.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "success_url": "https://app.example",
            "metadata": {"a": "b"},
            "line_items": [
                {
                    "quantity": 2,
                    "price_data": {"currency": "usd", "unit_amount": 99, "product_data": {"name": "Starter"}},
                }
            ],
        },
        {"idempotency_key": "library"},
    )

    assert (made.amount_total, made.status, made.payment_status) == (198, "open", "unpaid")


async def test_both_see_a_payment_its_refund_and_its_dispute(
    rail: StripeRail, client: stripe.StripeClient, standin: StripeStandin
) -> None:
    order = new_order("paid")
    checkout = await rail.begin(order)
    intent_id = PaymentId(standin.act(KEY, "pay", checkout.reference)["id"])
    refund = client.v1.refunds.create({"payment_intent": intent_id, "amount": 100})
    dispute_id = standin.act(KEY, "dispute", intent_id)["id"]
    warning_id = standin.act(KEY, "warn", intent_id)["id"]

    seen = await rail.look(Subject("checkout.session", checkout.reference))

    assert seen is not None
    assert (seen.status, seen.order_id, seen.money) == (PaymentStatus.PAID, order.order_id, order.money)
    assert [(found.refund_id, found.amount_minor) for found in seen.refunds] == [(refund.id, 100)]
    assert [(found.dispute_id, found.state) for found in seen.disputes] == [(dispute_id, ReversalState.OPEN)]
    assert seen.warnings == (warning_id,)
    subjects = [
        Subject("payment_intent", intent_id),
        Subject("refund", refund.id),
        Subject("charge", str(client.v1.payment_intents.retrieve(intent_id).latest_charge)),
        Subject("dispute", dispute_id),
        Subject("radar.early_fraud_warning", warning_id),
    ]
    assert [await rail.look(subject) for subject in subjects] == [seen] * len(subjects)
    assert client.v1.disputes.retrieve(dispute_id).status == "needs_response"


async def test_a_checkout_that_nobody_paid_is_seen_as_that(rail: StripeRail, standin: StripeStandin) -> None:
    checkout = await rail.begin(new_order("lapsed"))
    subject = Subject("checkout.session", checkout.reference)

    before = await rail.look(subject)
    standin.act(KEY, "expire", checkout.reference)
    after = await rail.look(subject)

    assert before is not None
    assert after is not None
    assert (before.status, after.status) == (PaymentStatus.OPEN, PaymentStatus.EXPIRED)


async def test_a_bank_that_takes_its_time_is_waited_for(rail: StripeRail, standin: StripeStandin) -> None:
    statuses = []
    for fails in (False, True):
        checkout = await rail.begin(new_order(f"slow {fails}"))
        standin.act(KEY, "pay", checkout.reference, later=True)
        for act in (lambda: None, lambda c=checkout, f=fails: standin.act(KEY, "arrive", c.reference, fails=f)):
            act()
            seen = await rail.look(Subject("checkout.session", checkout.reference))
            statuses.append(seen.status if seen else None)

    assert statuses == [PaymentStatus.PENDING, PaymentStatus.PAID, PaymentStatus.PENDING, PaymentStatus.FAILED]


async def test_what_others_sell_on_the_same_account_is_not_ours(rail: StripeRail, client: stripe.StripeClient) -> None:
    session = client.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "success_url": "https://shop.example",
            "line_items": [{"quantity": 1, "price_data": {"currency": "usd", "unit_amount": 99}}],
        }
    )

    assert await rail.look(Subject("checkout.session", session.id)) is None


async def test_what_is_not_there_is_refused(rail: StripeRail, client: stripe.StripeClient) -> None:
    with pytest.raises(RailRefused, match="resource_missing"):
        await rail.look(Subject("payment_intent", "pi_none"))
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_intents.retrieve("pi_none")


async def test_nobody_there_is_an_outcome_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.payments.connections.BACKOFF_S", 0)
    nobody = StripeGateway(Secret(KEY), "http://127.0.0.1:9")
    with pytest.raises(RailUnavailable):
        await nobody.get("/v1/refunds", {})
    await nobody.close()


def test_what_we_accept_the_library_accepts() -> None:
    """And what the library lets pass, a signature of the future, we do not."""
    raw = json.dumps({"id": "evt_1", "object": "event", "type": "x", "data": {"object": {}}}).encode()
    ours, now_s = StripeEvents(Secret("whsec_x"), PaymentMode.TEST), int(time.time())
    good, future = sign(raw, "whsec_x", now_s), sign(raw, "whsec_x", now_s + 3_600)

    assert ours.read(raw, {"stripe-signature": good}, now_ms=now_s * 1000).event_id == "evt_1"
    assert stripe.Webhook.construct_event(raw, good, "whsec_x").id == "evt_1"
    assert stripe.Webhook.construct_event(raw, future, "whsec_x").id == "evt_1"
    with pytest.raises(EventRefused):
        ours.read(raw, {"stripe-signature": future}, now_ms=now_s * 1000)
