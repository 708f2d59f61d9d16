"""The functions of cards over HTTP: who may do what, keys that are refused, and no key where it could be read."""

import secrets
import time
from typing import Any

import pytest
from google.cloud import firestore

from local.deployment import Deployment
from local.people import Person
from local.stack import Stack
from local.treasury import Treasury
from shared.base.economy import WELCOME_STAGES
from shared.base.micros import CREDIT_MICROS
from shared.cards.keys import CARD_CACHE_MS
from tests.clients import add_member, add_person, answer, balance_micros, call, refusal

GRANTED = WELCOME_STAGES[0].amount_micros
GEMMA = "google/gemma-2-2b-it"
CHAT = {"model": GEMMA, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 20}


def create(deployment: Deployment, person: Person, amount_micros: int = 50_000_000, **terms: Any) -> dict[str, Any]:
    body = {"name": "a card", "amount_micros": amount_micros, "idempotency_key": secrets.token_hex(8), **terms}
    return answer(call(deployment, "POST", "/v1/cards", person.token, json=body))


def path_of(card: dict[str, Any], what: str = "") -> str:
    return f"/v1/cards/{card['card']['card_id']}{what}"


def test_a_card_is_created_shown_changed_funded_and_closed(deployment: Deployment, member: Person) -> None:
    """The whole life of one, by its owner; every credit is back at the end."""
    created = create(deployment, member, limit={"amount_micros": 5, "period": "week"}, models=["b", "a"])
    shown = answer(call(deployment, "GET", path_of(created), member.token))
    assert shown["card"] == created["card"]
    assert created["card"]["models"] == ["a", "b"]
    assert (shown["standing"]["balance_micros"], shown["standing"]["spendable_micros"]) == (50_000_000, 5)
    assert balance_micros(deployment, member) == GRANTED - 50_000_000

    changed = answer(call(deployment, "POST", path_of(created), member.token, json={"name": "other", "limit": None}))
    assert changed["card"] == {**created["card"], "name": "other", "limit": None}
    funding = {"amount_micros": 7, "idempotency_key": "once"}
    for _ in range(2):
        funded = answer(call(deployment, "POST", path_of(created, "/fund"), member.token, json=funding))
        assert funded["standing"]["spendable_micros"] == 50_000_007
    assert answer(call(deployment, "GET", "/v1/cards", member.token))["data"] == [changed["card"]]

    closed = answer(call(deployment, "POST", path_of(created, "/close"), member.token))
    assert (closed["card"]["status"], closed["returned_micros"], closed["held_micros"]) == ("closed", 50_000_007, 0)
    assert answer(call(deployment, "POST", path_of(created, "/close"), member.token))["returned_micros"] == 0
    assert balance_micros(deployment, member) == GRANTED


def test_a_repeat_shows_no_key(deployment: Deployment, member: Person) -> None:
    """It was shown once; a new one can be had."""
    first = create(deployment, member, idempotency_key="one")
    again = create(deployment, member, idempotency_key="one")
    body = {"name": "a card", "amount_micros": 1, "idempotency_key": "one"}

    assert again == {**first, "key": None}
    assert refusal(call(deployment, "POST", "/v1/cards", member.token, json=body), 409) == "idempotency_key_reused"
    rotated = answer(call(deployment, "POST", path_of(first, "/key"), member.token))["key"]
    assert answer(call(deployment, "GET", "/v1/key", rotated))["data"]["label"] == "a card"


def test_a_wallet_that_has_too_little_or_is_none_makes_no_card(stack: Stack, deployment: Deployment) -> None:
    poor, stranger = add_member(stack, deployment), add_person(stack, deployment)
    body = {"name": "a card", "amount_micros": GRANTED + 1, "idempotency_key": "one"}

    assert refusal(call(deployment, "POST", "/v1/cards", poor.token, json=body), 402) == "credit_too_low"
    assert refusal(call(deployment, "POST", "/v1/cards", stranger.token, json=body), 404) == "account_not_found"
    assert answer(call(deployment, "GET", "/v1/cards", poor.token))["data"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount_micros": -1},
        {"amount_micros": 2**60},
        {"name": ""},
        {"limit": {"amount_micros": 0, "period": "day"}},
        {"limit": {"amount_micros": 1, "period": "year"}},
        {"refill": {"to_micros": 1, "period": "total"}},
        {"models": ["x"] * 101},
        {"expires_at_ms": -1},
        {"owner": "somebody"},
    ],
)
def test_what_makes_no_sense_is_refused(deployment: Deployment, member: Person, wrong: dict[str, Any]) -> None:
    body = {"name": "a card", "idempotency_key": "one", **wrong}

    assert refusal(call(deployment, "POST", "/v1/cards", member.token, json=body), 400) == "invalid_request"


def test_others_have_no_part_in_a_card(stack: Stack, deployment: Deployment, member: Person) -> None:
    """Another user sees none, and its own key does nothing that is its owner's."""
    created, other = create(deployment, member), add_member(stack, deployment)
    acts = [("GET", "", {}), ("POST", "", {"json": {"frozen": True}}), ("POST", "/close", {}), ("POST", "/key", {})]
    acts.append(("POST", "/fund", {"json": {"amount_micros": 1, "idempotency_key": "k"}}))

    for method, what, sent in acts:
        path = path_of(created, what)
        assert refusal(call(deployment, method, path, other.token, **sent), 404) == "card_not_found"
        assert refusal(call(deployment, method, path, created["key"], **sent), 403) == "user_needed"
    for path in ("/v1/account", "/v1/transfers", "/v1/cards"):
        assert refusal(call(deployment, "POST", path, created["key"], json={}), 403) == "user_needed"
    assert refusal(call(deployment, "POST", "/v1/debits", created["key"], json={}), 401) == "invalid_token"


def test_a_key_tells_what_it_may_spend(deployment: Deployment, member: Person) -> None:
    """In OpenRouter's shapes; a wallet has a key of no limit and no counts."""
    limit = {"amount_micros": 20_000_000, "period": "day"}
    created = create(deployment, member, limit=limit, expires_at_ms=4_102_444_800_000)
    charged = answer(call(deployment, "POST", "/v1/chat/completions", created["key"], json=CHAT))
    micros = charged["usage"]["cost_details"]["charged_micros"]

    key = answer(call(deployment, "GET", "/v1/key", created["key"]))["data"]
    credits = answer(call(deployment, "GET", "/v1/credits", created["key"]))["data"]
    receipt = charged["usage"]["cost_details"]["receipt_id"]

    spent = micros / CREDIT_MICROS
    assert (key["limit"], key["limit_reset"], key["label"]) == (20, "daily", "a card")
    assert key["usage"] == key["usage_daily"] == key["usage_weekly"] == key["usage_monthly"] == spent > 0
    assert key["limit_remaining"] == (20_000_000 - micros) / CREDIT_MICROS
    assert (key["expires_at"], key["spendable_micros"]) == ("2100-01-01T00:00:00+00:00", 20_000_000 - micros)
    assert (credits["total_credits"], credits["total_usage"]) == (50, spent)
    entry = answer(call(deployment, "GET", f"/v1/receipts/{receipt}", created["key"]))["entry"]
    assert entry["delta_micros"] == -micros
    assert refusal(call(deployment, "GET", f"/v1/receipts/{receipt}", member.token), 404) == "receipt_not_found"
    wallet = answer(call(deployment, "GET", "/v1/key", member.token))["data"]
    assert (wallet["limit"], wallet["usage_daily"], wallet["label"]) == (None, None, "wallet")


def test_refused_keys_say_why_in_openais_form(deployment: Deployment, member: Person) -> None:
    """401 for what is no key, 403 for a card that may not be used; the same wherever a key is taken."""
    good = create(deployment, member)
    expired = create(deployment, member, expires_at_ms=1)
    frozen, closed = create(deployment, member), create(deployment, member)
    answer(call(deployment, "POST", path_of(frozen), member.token, json={"frozen": True}))
    answer(call(deployment, "POST", path_of(closed, "/close"), member.token))
    foreign = good["key"][:17] + secrets.token_urlsafe(32)

    for key, status, code in (
        (expired["key"], 403, "card_expired"),
        (frozen["key"], 403, "card_frozen"),
        (closed["key"], 403, "card_closed"),
        (foreign, 401, "invalid_card_key"),
        ("crd_short", 401, "invalid_card_key"),
        (f"crd_{'a' * 12}_{'A' * 43}", 401, "invalid_card_key"),
        ("sk-or-v1-something", 401, "invalid_token"),
    ):
        for method, path, sent in (("POST", "/v1/chat/completions", {"json": CHAT}), ("GET", "/v1/key", {})):
            response = call(deployment, method, path, key, **sent)
            assert refusal(response, status) == code
            assert response.json()["error"]["type"] == {401: "authentication_error", 403: "permission_error"}[status]
            assert response.headers["x-should-retry"] == "false"


def test_a_frozen_card_is_refused_everywhere_within_five_seconds(deployment: Deployment, member: Person) -> None:
    """By an instance that has just seen it open."""
    created = create(deployment, member)
    answer(call(deployment, "GET", "/v1/key", created["key"]))
    answer(call(deployment, "POST", path_of(created), member.token, json={"frozen": True}))

    time.sleep(CARD_CACHE_MS / 1000)
    assert refusal(call(deployment, "GET", "/v1/key", created["key"]), 403) == "card_frozen"
    answer(call(deployment, "POST", path_of(created), member.token, json={"frozen": False}))
    answer(call(deployment, "GET", "/v1/key", created["key"]))


def test_a_card_calls_the_models_on_its_list_only(deployment: Deployment, member: Person) -> None:
    """Refused before anything is held, streamed or not."""
    created = create(deployment, member, models=["google/gemma-3-27b-it"])

    for stream in (False, True):
        response = call(deployment, "POST", "/v1/chat/completions", created["key"], json={**CHAT, "stream": stream})
        assert refusal(response, 403) == "model_not_allowed"
    allowed = {**CHAT, "model": "google/gemma-3-27b-it"}
    answer(call(deployment, "POST", "/v1/chat/completions", created["key"], json=allowed))
    standing = answer(call(deployment, "GET", path_of(created), member.token))["standing"]
    assert standing["held_micros"] == 0


def test_a_limit_is_a_402_that_says_what_would_fit(deployment: Deployment, member: Person) -> None:
    created = create(deployment, member, limit={"amount_micros": 1, "period": "month"})

    response = call(deployment, "POST", "/v1/chat/completions", created["key"], json=CHAT)

    assert refusal(response, 402) == "insufficient_credits"
    assert response.json()["error"]["spendable_micros"] == 1
    charge = {"amount_micros": 2, "reason": "work", "idempotency_key": "k"}
    response = call(deployment, "POST", path_of(created, "/charge"), created["key"], json=charge)
    assert refusal(response, 402) == "spend_limit_reached"
    assert response.json()["error"]["resets_at_ms"] > time.time() * 1000


def test_a_card_is_refilled_at_its_first_use(deployment: Deployment, member: Person) -> None:
    """By a call that spends, not by one that looks."""
    Treasury(deployment.environment).grant_paid(member.uid, 10)
    created = create(deployment, member, 0, refill={"to_micros": 9_000_000, "period": "day"})
    assert answer(call(deployment, "GET", "/v1/key", created["key"]))["data"]["balance_micros"] == 0

    answer(call(deployment, "POST", "/v1/chat/completions", created["key"], json=CHAT))

    standing = answer(call(deployment, "GET", path_of(created), member.token))["standing"]
    assert standing["balance_micros"] + standing["spent_micros"] == 9_000_000


def test_a_card_is_charged_by_backends_and_by_its_own_key(deployment: Deployment, member: Person) -> None:
    """Once per key each; not with another card's key, and not without the scope."""
    created, other = create(deployment, member), create(deployment, member)
    body = {"amount_micros": 7, "reason": "a report", "idempotency_key": "once"}
    path = path_of(created, "/charge")

    for token in (deployment.backend_token, created["key"]):
        first = answer(call(deployment, "POST", path, token, json=body))
        again = answer(call(deployment, "POST", path, token, json=body))
        assert again == {**first, "repeated": True}
    assert first["balance_micros"] == 50_000_000 - 14
    assert refusal(call(deployment, "POST", path, other["key"], json=body), 404) == "card_not_found"
    assert refusal(call(deployment, "POST", path, deployment.scheduler_token, json=body), 403) == "scope_missing"
    assert refusal(call(deployment, "POST", path, member.token, json=body), 401)
    named = {**body, "card_id": other["card"]["card_id"]}
    assert refusal(call(deployment, "POST", path, deployment.backend_token, json=named), 400) == "invalid_request"


def test_a_key_is_validated_by_services_and_its_holder(deployment: Deployment, member: Person) -> None:
    """A service is told of a refused key as an answer."""
    created = create(deployment, member)
    path, backend = "/v1/key/validate", deployment.backend_token

    asked = answer(call(deployment, "POST", path, backend, json={"key": created["key"]}))
    assert (asked["valid"], asked["code"], asked["card"]) == (True, None, created["card"])
    assert answer(call(deployment, "POST", path, created["key"])) == asked
    refused = answer(call(deployment, "POST", path, backend, json={"key": created["key"] + "x"}))
    assert refused == {"valid": False, "code": "invalid_card_key", "card": None, "standing": None}
    assert refusal(call(deployment, "POST", path, created["key"] + "x"), 401) == "invalid_card_key"
    assert refusal(call(deployment, "POST", path, deployment.scheduler_token, json={}), 403) == "scope_missing"


def test_no_key_is_ever_written_down(deployment: Deployment, member: Person, documents: firestore.Client) -> None:
    """Not in the log of all that this file did, nor in any document of the card: a hash at most."""
    created = create(deployment, member)
    secret = created["key"].split("_", 2)[2]
    answer(call(deployment, "POST", "/v1/chat/completions", created["key"], json=CHAT))
    rotated = answer(call(deployment, "POST", path_of(created, "/key"), member.token))["key"]
    refusal(call(deployment, "GET", "/v1/key", created["key"] + "x"), 401)
    bad = call(deployment, "POST", "/v1/key/validate", deployment.backend_token, json={"key": [created["key"]]})
    card_id, account_id = created["card"]["card_id"], created["card"]["account_id"]

    stored = [documents.document(f"{where}/{card_id}").get().to_dict() for where in ("cards", "card_records")]
    stored += [documents.document(f"accounts/{account_id}").get().to_dict()]
    stored += [entry.to_dict() for entry in documents.collection(f"accounts/{account_id}/entries").stream()]
    shown = deployment.log + str(stored) + bad.text
    assert card_id in deployment.log
    for text in (secret, rotated.split("_", 2)[2]):
        assert text not in shown
        assert text[:16] not in shown
