"""Our own client on the parts of the stand-in that pay others, over HTTP: what Stripe's library asks, it asks too."""

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import requests
import stripe

from local.stripe.standin import StripeStandin, start_stripe
from shared.base.payment_mode import PaymentMode
from shared.base.secret import Secret
from shared.payments.errors import RailRefused
from shared.payments.stripe.gateway import StripeGateway
from shared.payouts import rules
from shared.payouts.models import ArrivalState, ConnectEvent, Payout, PayoutState, RecipientSeen
from shared.payouts.stripe import StripeAccounts, StripeSender
from tests.payouts.bench import ADA, AMOUNT_MINOR, TAKEN


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StripeStandin]:
    started = start_stripe(Path(tmp_path_factory.mktemp("stripe")))
    started.service.wait_until_ready()
    yield started
    started.service.stop()


@pytest.fixture
def key() -> str:
    return f"sk_test_{secrets.token_hex(4)}"


@pytest.fixture
async def api(standin: StripeStandin, key: str) -> AsyncIterator[StripeGateway]:
    gateway = StripeGateway(Secret(key), standin.url)
    yield gateway
    await gateway.close()


def payout_to(destination: str) -> Payout:
    return Payout(
        payout_id=rules.payout_id_of(ADA, "one"),
        owner=ADA,
        micros=TAKEN,
        amount_minor=AMOUNT_MINOR,
        currency="USD",
        destination=destination,
        state=PayoutState.TRANSFERRING,
        asked_at_ms=0,
        is_first=True,
    )


async def recipient(standin: StripeStandin, api: StripeGateway) -> str:
    accounts = StripeAccounts(api, "https://app.example/back", PaymentMode.TEST)
    destination = await accounts.open(ADA, "us")
    url = await accounts.link(destination, key="first")
    page = requests.post(url, data={"action": "onboard"}, allow_redirects=False, timeout=5)
    assert page.headers["location"] == "https://app.example/back"
    return destination


async def test_a_recipient_is_opened_onboarded_and_seen_and_pays_out_by_hand(
    standin: StripeStandin, api: StripeGateway, key: str
) -> None:
    accounts = StripeAccounts(api, "https://app.example/back", PaymentMode.TEST)
    destination = await accounts.open(ADA, "us")
    assert await accounts.open(ADA, "us") == destination
    assert await accounts.look(destination) == RecipientSeen(is_active=False, bank=None)

    assert await recipient(standin, api) == destination

    assert await accounts.look(destination) == RecipientSeen(is_active=True, bank="ba_first")
    settings = await api.get("/v1/balance_settings", {}, account=destination)
    assert settings["payments"]["payouts"]["schedule"]["interval"] == "manual"


async def test_a_payout_is_sent_to_the_bank_and_both_clients_see_it(
    standin: StripeStandin, api: StripeGateway, key: str
) -> None:
    payout, sender = payout_to(await recipient(standin, api)), StripeSender(api, PaymentMode.TEST)
    standin.act(key, "top_up", "usd", amount=AMOUNT_MINOR)
    assert (await sender.find(payout), await sender.find_arrival(payout)) == (None, None)
    transfer = await sender.send(payout)
    sent = await sender.deliver(payout)
    assert (await sender.find(payout), (await sender.find_arrival(payout))) == (transfer, sent)

    standin.act(key, "payout_arrive", sent.arrival_id)

    arrived = await sender.find_arrival(payout)
    assert arrived is not None
    assert arrived.state is ArrivalState.ARRIVED
    library = stripe.StripeClient(key, base_addresses={"api": standin.url})
    known = library.v1.payouts.retrieve(sent.arrival_id, options={"stripe_account": payout.destination})
    assert (known.status, known.amount) == ("paid", AMOUNT_MINOR)
    event = ConnectEvent(
        event_id="evt_1", kind="payout.paid", object_kind="payout", object_id=known.id, account=payout.destination
    )
    assert await sender.payout_of(event) == payout.payout_id


async def test_what_is_at_the_recipients_account_is_fetched_back_and_what_is_gone_is_not(
    standin: StripeStandin, api: StripeGateway, key: str
) -> None:
    payout, sender = payout_to(await recipient(standin, api)), StripeSender(api, PaymentMode.TEST)
    standin.act(key, "top_up", "usd", amount=AMOUNT_MINOR)
    transfer = await sender.send(payout)
    sent = await sender.deliver(payout)
    with pytest.raises(RailRefused, match="balance_insufficient"):
        await sender.reverse(payout, transfer)

    standin.act(key, "payout_fail", sent.arrival_id)
    await sender.reverse(payout, transfer)

    found = await sender.find(payout)
    assert found is not None
    assert found.is_reversed
