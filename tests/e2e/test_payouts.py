"""Paying out on the local stack as people do, and as thieves try: onboarding, request, review, bank, webhook."""

import json
import secrets
import time
from collections.abc import Iterator

import pytest
import requests

from local.buyer import Buyer
from local.contributor import MODEL
from local.deployment import CONNECT_PATH, CONNECT_SECRET, WEBHOOK_SECRET, Deployment
from local.earner import PAYOUT_MICROS, Earner, payout_of
from local.people import Person
from local.sharing import lend, settle
from local.stack import Stack
from local.stripe.wire import sign
from local.treasury import Treasury
from tests.clients import TIMEOUT_S, add_member, answer, balance_micros, call, refusal
from tests.functions.pools import act, create, open_session, put_in, session_path

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


def waiting(paying: Deployment) -> list[dict[str, object]]:
    """What an operator is shown to decide of."""
    listed: list[dict[str, object]] = answer(call(paying, "GET", "/v1/payout-reviews", paying.operator_token))[
        "payouts"
    ]
    return listed


def test_earnings_reach_the_bank(paying: Deployment, earner: Earner) -> None:
    payout = earner.ask(PAYOUT_MICROS)
    assert (payout["state"], payout["waits_for"], payout["amount_minor"]) == ("held", "review", 1_400)
    time.sleep(WAIT_S)
    assert payout["payout_id"] in {one["payout_id"] for one in waiting(paying)}

    earner.approve(payout)
    assert payout["payout_id"] not in {one["payout_id"] for one in waiting(paying)}
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


def test_the_loop_of_bonus_ads_card_pool_keys_transfer_and_refund_ends_without_a_payout(
    stack: Stack, paying: Deployment, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two people serve each other with their own keys and send credits round whatever there is: each step succeeds,
    both earn, and of what they were given or got their money back for nothing can be paid out.
    """
    thieves = person, add_member(stack, paying)
    earners = [Earner(paying, stack.stripe, thief.token) for thief in thieves]
    for earner in earners:
        earner.onboard()
    keys = [lend(paying, thief)["key_id"] for thief in thieves]
    watch_an_ad(paying, person)
    order = Buyer(paying, stack.stripe, person.token).buy()
    before_micros = balance_micros(paying, person)

    card = {"name": "own", "amount_micros": 20 * CREDIT, "idempotency_key": "card"}
    made = answer(call(paying, "POST", "/v1/cards", person.token, json=card))
    pool_id = create(paying, person)
    put_in(paying, person, pool_id, 20 * CREDIT)
    session = open_session(paying, person, 10 * CREDIT, pool_id=pool_id)
    for caller in (person.token, thieves[1].token, made["key"], session["key"]):
        use_lent_keys(paying, caller)
    answer(call(paying, "POST", session_path(session, "/end"), person.token, json={}))
    answer(act(paying, person, pool_id, "/close"))
    answer(call(paying, "POST", f"/v1/cards/{made['card']['card_id']}/close", person.token, json={}))
    sent = {"recipient": thieves[1].uid, "amount_micros": 10 * CREDIT, "idempotency_key": "there"}
    answer(call(paying, "POST", "/v1/transfers", person.token, json=sent))
    back = {"recipient": person.uid, "amount_micros": 10 * CREDIT, "idempotency_key": "back"}
    answer(call(paying, "POST", "/v1/transfers", thieves[1].token, json=back))
    spent_micros = before_micros - balance_micros(paying, person)
    assert 0 < spent_micros < CREDIT, "all but what was called with has come home"
    refunded = answer(call(paying, "POST", f"/v1/orders/{order['order_id']}/refund", person.token, json={}))
    assert refunded["order"]["state"] == "refunded"
    assert balance_micros(paying, person) == before_micros - spent_micros - 100 * CREDIT
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", paying.environment["FIRESTORE_EMULATOR_HOST"])
    settle(paying, f"escrow:advance-{keys[0]}", check)

    for earner in earners:
        books = answer(call(paying, "GET", "/v1/earnings", earner.token))
        assert (books["settled_paid_micros"], books["pending_paid_micros"]) == (0, 0)
        assert books["settled_promo_micros"] > 0, "the loop went round"
        asked = call(paying, "POST", "/v1/payouts", earner.token, json=payout_of("loop"))
        assert refusal(asked, 409) == "payout_refused"
        assert asked.json()["error"]["reason"] == "not_earned"


def check(holds: bool, claim: str) -> None:
    assert holds, claim


def watch_an_ad(paying: Deployment, person: Person) -> None:
    nonce = answer(call(paying, "POST", "/v1/ads", person.token, json={"tier": "text"}))["nonce"]
    before_micros = balance_micros(paying, person)
    told = answer(call(paying, "GET", f"/v1/ads/reward?{paying.admob.callback('text', nonce)}"))
    assert told["status"] == "granted"
    assert balance_micros(paying, person) == before_micros + 5 * CREDIT


def use_lent_keys(paying: Deployment, token: str) -> None:
    """The first call only has the process read what keys there are."""
    chat = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 20}
    for _ in range(3):
        answer(call(paying, "POST", "/v1/chat/completions", token, json=chat))
