"""Paying out on the local stack as people do, and as thieves try: onboarding, request, review, bank, webhook."""

import json
import secrets
import time
from collections.abc import Iterator

import pytest
import requests

from local.buyer import Buyer
from local.deployment import CONNECT_PATH, CONNECT_SECRET, WEBHOOK_SECRET, Deployment
from local.earner import PAYOUT_MICROS, Earner, payout_of
from local.people import Person
from local.stack import Stack
from local.stripe.wire import sign
from local.treasury import Treasury
from tests.clients import TIMEOUT_S, add_member, answer, call, refusal

WAIT_S = 1
CREDIT = 1_000_000


@pytest.fixture(scope="module")
def paying(stack: Stack) -> Iterator[Deployment]:
    """A deployment where earnings and new bank details wait for a second."""
    project_id = f"demo-paying-{secrets.token_hex(4)}"
    with Deployment(stack, project_id, environment={"PAYOUT_WAIT_S": str(WAIT_S)}) as started:
        yield started


@pytest.fixture
def person(stack: Stack, paying: Deployment) -> Person:
    return add_member(stack, paying)


@pytest.fixture
def earner(stack: Stack, paying: Deployment, person: Person) -> Earner:
    """Somebody whom the provider knows, with earnings."""
    made = Earner(paying, stack.stripe, person.token)
    made.onboard()
    Treasury(paying.environment).grant_earnings(person.uid, PAYOUT_MICROS)
    stack.stripe.act(paying.stripe_key, "top_up", "usd", amount=100_000)
    return made


def earned(earner: Earner) -> int:
    return int(answer(call(earner.deployment, "GET", "/v1/earnings", earner.token))["settled_paid_micros"])


def test_earnings_reach_the_bank(earner: Earner) -> None:
    payout = earner.ask(PAYOUT_MICROS)
    assert (payout["state"], payout["waits_for"], payout["amount_minor"]) == ("held", "review", 1_400)
    time.sleep(WAIT_S)

    earner.approve(payout)
    earner.wait_until(payout, "transferring")
    earner.arrive(payout)

    paid = earner.wait_until(payout, "paid")
    assert earned(earner) == PAYOUT_MICROS - paid["micros"]
    listed = answer(call(earner.deployment, "GET", "/v1/payouts", earner.token))["data"]
    assert [one["payout_id"] for one in listed] == [payout["payout_id"]]


def test_a_payout_that_is_taken_back_gives_the_credits_back_once(earner: Earner) -> None:
    payout = earner.ask(PAYOUT_MICROS)
    path = f"/v1/payouts/{payout['payout_id']}/cancel"
    for _ in range(2):
        answer(call(earner.deployment, "POST", path, earner.token, json={}))

    earner.wait_until(payout, "refused")
    answer(call(earner.deployment, "POST", path, earner.token, json={}))

    assert earned(earner) == PAYOUT_MICROS


def test_a_request_is_made_once_per_key_and_for_one_amount(earner: Earner) -> None:
    body = payout_of("once")
    first, again = (call(earner.deployment, "POST", "/v1/payouts", earner.token, json=body) for _ in range(2))
    other = call(earner.deployment, "POST", "/v1/payouts", earner.token, json={**body, "amount_micros": 1_900 * CREDIT})

    assert answer(first)["payout"]["payout_id"] == answer(again)["payout"]["payout_id"]
    assert refusal(other, 409) == "idempotency_key_reused"


def test_somebody_elses_payout_is_none(stack: Stack, paying: Deployment, earner: Earner) -> None:
    payout = earner.ask(PAYOUT_MICROS)
    stranger = add_member(stack, paying).token
    path = f"/v1/payouts/{payout['payout_id']}"

    assert refusal(call(paying, "GET", path, stranger), 404) == "payout_not_found"
    assert refusal(call(paying, "POST", f"{path}/cancel", stranger, json={}), 404) == "payout_not_found"
    assert answer(call(paying, "GET", "/v1/payouts", stranger))["data"] == []
    verdict = {"verdict": "approve", "reason": "I know myself"}
    for token, status in ((earner.token, 401), (paying.backend_token, 403)):
        assert call(paying, "POST", f"{path}/review", token, json=verdict).status_code == status


@pytest.mark.parametrize("secret", ["", "whsec_guessed", WEBHOOK_SECRET])
def test_a_forged_webhook_is_refused(paying: Deployment, secret: str) -> None:
    """That of payments is another secret: who can tell of one thing cannot tell of the other."""
    event = {"id": "evt_1", "type": "transfer.reversed", "data": {"object": {"object": "transfer", "id": "tr_1"}}}
    raw = json.dumps(event).encode()
    headers = {"stripe-signature": sign(raw, secret, int(time.time()))}

    forged = requests.post(paying.url + CONNECT_PATH, data=raw, headers=headers, timeout=TIMEOUT_S)

    assert refusal(forged, 400) == "event_refused"


def test_a_genuine_event_about_nothing_of_ours_is_answered(paying: Deployment) -> None:
    raw = json.dumps({"id": "evt_2", "type": "person.updated", "data": {"object": {"object": "person", "id": "p"}}})
    headers = {"stripe-signature": sign(raw.encode(), CONNECT_SECRET, int(time.time()))}

    assert requests.post(paying.url + CONNECT_PATH, data=raw, headers=headers, timeout=TIMEOUT_S).status_code == 200


def test_without_its_secret_nothing_is_paid_out(stack: Stack) -> None:
    project_id = f"demo-unpaid-{secrets.token_hex(4)}"
    with Deployment(stack, project_id, environment={"STRIPE_CONNECT_WEBHOOK_SECRET": ""}) as bare:
        token = add_member(stack, bare).token
        onboarding = call(bare, "POST", "/v1/payout-onboarding", token, json={"country": "us"})
        asked = call(bare, "POST", "/v1/payouts", token, json=payout_of("x"))
        headers = {"stripe-signature": sign(b"{}", "", int(time.time()))}
        event = call(bare, "POST", CONNECT_PATH, data=b"{}", headers=headers)

    assert {refusal(one, 404) for one in (onboarding, asked, event)} == {"payouts_not_offered"}


def test_the_loop_of_bonus_ads_card_transfer_and_refund_ends_without_a_payout(
    stack: Stack, paying: Deployment, person: Person
) -> None:
    """Bonus and ad credits, and bought ones too, are sent round whatever there is; none of it becomes earnings."""
    earner = Earner(paying, stack.stripe, person.token)
    earner.onboard()
    accomplice = add_member(stack, paying)
    nonce = answer(call(paying, "POST", "/v1/ads", person.token, json={"tier": "text"}))["nonce"]
    call(paying, "GET", f"/v1/ads/reward?{paying.admob.callback('text', nonce)}")
    buyer = Buyer(paying, stack.stripe, person.token)
    order = buyer.buy()
    card = {"name": "own", "amount_micros": 20 * CREDIT, "idempotency_key": "card"}
    key = answer(call(paying, "POST", "/v1/cards", person.token, json=card))["key"]
    chat = {"model": "google/gemma-2-2b-it", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 20}
    answer(call(paying, "POST", "/v1/chat/completions", key, json=chat))
    card_id = answer(call(paying, "GET", "/v1/cards", person.token))["data"][0]["card_id"]
    answer(call(paying, "POST", f"/v1/cards/{card_id}/close", person.token, json={}))
    sent = {"recipient": accomplice.uid, "amount_micros": 10 * CREDIT, "idempotency_key": "there"}
    answer(call(paying, "POST", "/v1/transfers", person.token, json=sent))
    back = {"recipient": person.uid, "amount_micros": 10 * CREDIT, "idempotency_key": "back"}
    answer(call(paying, "POST", "/v1/transfers", accomplice.token, json=back))
    call(paying, "POST", f"/v1/orders/{order['order_id']}/refund", person.token, json={})

    asked = call(paying, "POST", "/v1/payouts", person.token, json=payout_of("loop"))

    assert refusal(asked, 409) == "payout_refused"
    assert asked.json()["error"]["reason"] == "not_earned"
    assert earned(earner) == 0
