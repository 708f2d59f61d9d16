"""Stripe's own library on the parts of the stand-in that pay others: what it answers is what the library reads."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import stripe

from local.stripe.account import StripeAccount
from local.stripe.balance import DISPUTE_FEE_MINOR, card_fee
from local.stripe.refusal import StripeRefusal
from local.stripe.standin import StripeStandin, start_stripe

KEY = "sk_test_connect"
PRICE_MINOR = 499


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StripeStandin]:
    started = start_stripe(Path(tmp_path_factory.mktemp("stripe")))
    started.service.wait_until_ready()
    yield started
    started.service.stop()


@pytest.fixture
def client(standin: StripeStandin) -> stripe.StripeClient:
    return stripe.StripeClient(KEY, base_addresses={"api": standin.url})


def new_recipient(client: stripe.StripeClient) -> str:
    transfers = {"stripe_transfers": {"requested": True}}
    params: Any = {
        "contact_email": "ada@example.org",
        "dashboard": "express",
        "identity": {"country": "us"},
        "configuration": {"recipient": {"capabilities": {"stripe_balance": transfers}}},
        "include": ["configuration.recipient"],
    }
    made = client.v2.core.accounts.create(params)
    return str(made.id)


def test_a_recipient_is_onboarded_on_a_page_and_paid(standin: StripeStandin, client: stripe.StripeClient) -> None:
    account = new_recipient(client)
    link = client.v2.core.account_links.create(
        {
            "account": account,
            "use_case": {
                "type": "account_onboarding",
                "account_onboarding": {
                    "refresh_url": "https://app.example/again",
                    "return_url": "https://app.example/back",
                },
            },
        }
    )
    page = requests.post(link.url, data={"action": "onboard"}, allow_redirects=False, timeout=5)
    standin.act(KEY, "top_up", "usd", amount=1_000)
    transfer = client.v1.transfers.create(
        {"amount": 700, "currency": "usd", "destination": account, "transfer_group": "payout-1"}
    )
    sent = client.v1.payouts.create({"amount": 700, "currency": "usd"}, {"stripe_account": account})
    standin.act(KEY, "payout_arrive", sent.id)

    found = client.v2.core.accounts.retrieve(account, {"include": ["configuration.recipient"]})
    assert page.headers["location"] == "https://app.example/back"
    recipient = found.configuration.recipient  # type: ignore[union-attr]
    assert recipient.capabilities.stripe_balance.stripe_transfers.status == "active"  # type: ignore[union-attr]
    assert [one.id for one in client.v1.transfers.list({"transfer_group": "payout-1"}).data] == [transfer.id]
    assert client.v1.payouts.retrieve(sent.id, options={"stripe_account": account}).status == "paid"
    assert client.v1.balance.retrieve(options={"stripe_account": account}).available[0].amount == 0


@pytest.fixture
def account() -> StripeAccount:
    return StripeAccount(lambda: int(time.time()))


def paid_intent(account: StripeAccount) -> str:
    item = {"quantity": "1", "price_data": {"currency": "usd", "unit_amount": str(PRICE_MINOR)}}
    params = {"mode": "payment", "success_url": "https://app.example", "line_items": {"0": item}}
    session = account.handle("POST", "/v1/checkout/sessions", params)
    return str(account.pay(session["id"])["id"])


def ready_recipient(account: StripeAccount) -> str:
    transfers = {"stripe_balance": {"stripe_transfers": {"requested": True}}}
    asked = {"identity": {"country": "us"}, "configuration": {"recipient": {"capabilities": transfers}}}
    made = account.handle("POST", "/v2/core/accounts", asked)
    account.connect.onboard(made["id"])
    return str(made["id"])


def nets(account: StripeAccount) -> dict[str, int]:
    page = account.handle("GET", "/v1/balance_transactions", {"limit": "100"})
    sums: dict[str, int] = {}
    for one in page["data"]:
        sums[one["reporting_category"]] = sums.get(one["reporting_category"], 0) + one["net"]
    return sums


def test_every_movement_is_a_balance_transaction(account: StripeAccount) -> None:
    fee = card_fee(PRICE_MINOR)
    refunded, disputed = paid_intent(account), paid_intent(account)
    account.handle("POST", "/v1/refunds", {"payment_intent": refunded})
    dispute = account.dispute(disputed)
    account.decide(dispute["id"], "won")
    account.bank.top_up("usd", 2_000)
    recipient = ready_recipient(account)
    params = {"amount": "300", "currency": "usd", "destination": recipient}
    transfer = account.handle("POST", "/v1/transfers", params)
    account.handle("POST", f"/v1/transfers/{transfer['id']}/reversals", {"amount": "100"})

    assert nets(account) == {
        "charge": 2 * (PRICE_MINOR - fee),
        "refund": -PRICE_MINOR,
        "dispute": -PRICE_MINOR - DISPUTE_FEE_MINOR,
        "dispute_reversal": PRICE_MINOR,
        "topup": 2_000,
        "transfer": -300,
        "transfer_reversal": 100,
    }
    balance = account.handle("GET", "/v1/balance", {})
    assert balance["available"][0]["amount"] == sum(nets(account).values())


def test_a_swept_payout_lists_what_it_took_to_the_bank(account: StripeAccount) -> None:
    paid_intent(account)
    payout = account.bank.sweep("usd")

    page = account.handle("GET", "/v1/balance_transactions", {"payout": payout["id"]})

    assert {one["type"] for one in page["data"]} == {"charge", "payout"}
    assert sum(one["net"] for one in page["data"]) == 0
    assert account.handle("GET", "/v1/payouts", {})["data"][0]["reconciliation_status"] == "completed"


def test_a_payout_can_fail_after_it_was_paid(account: StripeAccount) -> None:
    paid_intent(account)
    payout = account.bank.sweep("usd")
    account.bank.arrive(payout["id"])

    account.bank.fail(payout["id"])

    assert account.handle("GET", "/v1/balance", {})["available"][0]["amount"] == payout["amount"]
    assert [one["type"] for one in account.events[-2:]] == ["payout.paid", "payout.failed"]


@pytest.mark.parametrize(
    ("amount", "restricted", "code"),
    [(10_000, False, "balance_insufficient"), (1, True, "insufficient_capabilities_for_transfer")],
)
def test_a_transfer_that_cannot_be_is_refused(account: StripeAccount, amount: int, restricted: bool, code: str) -> None:
    paid_intent(account)
    recipient = ready_recipient(account)
    if restricted:
        account.connect.restrict(recipient)

    with pytest.raises(StripeRefusal, match=code):
        account.handle("POST", "/v1/transfers", {"amount": str(amount), "currency": "usd", "destination": recipient})


def test_a_reversal_takes_only_what_the_recipient_still_has(account: StripeAccount) -> None:
    paid_intent(account)
    recipient = ready_recipient(account)
    params = {"amount": "300", "currency": "usd", "destination": recipient}
    transfer = account.handle("POST", "/v1/transfers", params)
    account.handle("POST", "/v1/payouts", {"amount": "200", "currency": "usd"}, owner=recipient)

    with pytest.raises(StripeRefusal, match="balance_insufficient"):
        account.handle("POST", f"/v1/transfers/{transfer['id']}/reversals", {})


@pytest.mark.parametrize("is_live", [True, False])
def test_all_that_an_account_shows_says_which_mode_its_key_is_for(is_live: bool) -> None:
    account = StripeAccount(lambda: int(time.time()), is_live=is_live)
    account.bank.top_up("usd", 1_000)

    modes = {event["livemode"] for event in account.events} | {
        event["data"]["object"]["livemode"] for event in account.events
    }
    assert modes == {is_live}
    assert account.handle("GET", "/v1/balance", {})["livemode"] is is_live
