"""The functions of sessions over HTTP: each is a stranger to every other, and none gets out of its bounds."""

import base64
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from google.cloud import firestore

from local.deployment import Deployment
from local.manifest import read_manifest
from local.people import Person
from local.stack import Stack
from shared.base.economy import WELCOME_STAGES
from tests.clients import add_member, answer, balance_micros, call, refusal
from tests.functions.pools import CHAT, GEMMA, act, joined, open_session, rich_owner, see, session_path

GRANTED = WELCOME_STAGES[0].amount_micros
BUDGET = 60_000_000
SPEECH = "openai/whisper-1"
RECORDING = {"name": "a.mp3", "media_type": "audio/mpeg", "content": base64.b64encode(b"ID3" * 5_000).decode()}


def chat_with(deployment: Deployment, key: str, **body: Any) -> Any:
    return call(deployment, "POST", "/v1/chat/completions", key, json={**CHAT, **body})


def test_a_session_of_ones_own_wallet_is_opened_used_and_ended(deployment: Deployment, member: Person) -> None:
    session = open_session(deployment, member, BUDGET, name="mine", models=[GEMMA])
    assert balance_micros(deployment, member) == GRANTED - BUDGET
    micros = answer(chat_with(deployment, session["key"]))["usage"]["cost_details"]["charged_micros"]
    shown = answer(call(deployment, "GET", session_path(session), member.token))
    assert shown["session"] == session["session"]
    assert (shown["standing"]["spent_micros"], shown["standing"]["spendable_micros"]) == (micros, BUDGET - micros)
    assert answer(call(deployment, "GET", "/v1/sessions", member.token))["data"] == [session["session"]]
    assert answer(call(deployment, "GET", "/v1/cards", member.token))["data"] == []

    ended = answer(call(deployment, "POST", session_path(session, "/end"), member.token))
    assert (ended["session"]["status"], ended["returned_micros"], ended["held_micros"]) == (
        "closed",
        BUDGET - micros,
        0,
    )
    assert answer(call(deployment, "POST", session_path(session, "/end"), member.token))["returned_micros"] == 0
    assert balance_micros(deployment, member) == GRANTED - micros


def test_its_owner_calls_inside_without_the_key(deployment: Deployment, member: Person) -> None:
    """All kinds of calls, each charged to the session and to nothing else."""
    session = open_session(deployment, member, 200_000_000)
    path = session_path(session, "/requests")
    calls = [
        ("chat.completions", CHAT),
        ("responses", {"model": GEMMA, "input": "Hi", "max_output_tokens": 20}),
        ("embeddings", {"model": "BAAI/bge-en-icl", "input": "Hello"}),
        ("audio.transcriptions", {"model": SPEECH, "file": RECORDING, "temperature": 0.5}),
        ("images.generations", {"model": "black-forest-labs/flux-schnell", "prompt": "A cat"}),
    ]
    for kind, body in calls:
        before = answer(call(deployment, "GET", session_path(session), member.token))["standing"]["spent_micros"]
        answered = call(deployment, "POST", path, member.token, json={"call": kind, "body": body})
        assert answered.status_code == 200, answered.text
        after = answer(call(deployment, "GET", session_path(session), member.token))["standing"]["spent_micros"]
        assert after > before
        receipt = answered.headers["x-credence-receipt"]
        assert refusal(call(deployment, "GET", f"/v1/receipts/{receipt}", member.token), 404) == "receipt_not_found"
        assert answer(call(deployment, "GET", f"/v1/receipts/{receipt}", session["key"]))
    streamed = call(
        deployment, "POST", path, member.token, json={"call": "chat.completions", "body": {**CHAT, "stream": True}}
    )
    assert streamed.text.rstrip().endswith("[DONE]")
    picture = {"call": "images.generations", "body": {**calls[-1][1], "background": True}}
    accepted = call(deployment, "POST", path, member.token, json=picture)
    assert accepted.status_code == 202, accepted.text
    for token in (session["key"], member.token):
        assert call(deployment, "GET", accepted.headers["location"], token).json()["id"] == accepted.json()["id"]
    # What shows pictures while they are painted is asked as at its own endpoint, which says that this model does not.
    picture["body"] = {**calls[-1][1], "stream": True}
    assert refusal(call(deployment, "POST", path, member.token, json=picture), 400) == "model_not_supported"
    assert balance_micros(deployment, member) == GRANTED - 200_000_000


def test_a_sessions_key_is_nothing_to_another_session(deployment: Deployment, member: Person) -> None:
    """A cannot see, spend, end, extend or fund B, nor anything that is its owner's."""
    a, b = open_session(deployment, member, BUDGET), open_session(deployment, member, BUDGET)
    receipt = chat_with(deployment, b["key"]).headers["x-credence-receipt"]
    card_of_b = f"/v1/cards/{b['session']['session_id']}"

    assert refusal(call(deployment, "GET", f"/v1/receipts/{receipt}", a["key"]), 404) == "receipt_not_found"
    began = {"model": GEMMA, "idempotency_key": "k"}
    talks = {
        token: answer(call(deployment, "POST", "/v1/conversations", token, json=began))["conversation_id"]
        for token in (b["key"], member.token)
    }
    for talk in talks.values():
        path = f"/v1/conversations/{talk}"
        assert refusal(call(deployment, "GET", path, a["key"]), 404) == "conversation_not_found"
        reply = {"text": "hi", "idempotency_key": "k"}
        assert call(deployment, "POST", f"{path}/replies", a["key"], json=reply).status_code in (400, 404)
        assert call(deployment, "POST", f"{path}/delete", a["key"]).status_code == 404
    assert answer(call(deployment, "GET", "/v1/conversations", a["key"]))["data"] == []
    picture = {"model": "black-forest-labs/flux-schnell", "prompt": "A cat", "background": True}
    job_id = call(deployment, "POST", "/v1/images/generations", b["key"], json=picture).json()["id"]
    job_path = next(row.path for row in read_manifest() if row.name == "image_job_get").replace("{job_id}", job_id)
    assert call(deployment, "GET", job_path, b["key"]).status_code == 200
    assert refusal(call(deployment, "GET", job_path, a["key"]), 404) == "image_job_absent"
    complaint = {"receipt_id": receipt, "defect": "nonsense"}
    assert refusal(call(deployment, "POST", "/v1/complaints", a["key"], json=complaint), 404) == "receipt_not_found"
    charge = {"amount_micros": 1, "reason": "theft", "idempotency_key": "k"}
    assert refusal(call(deployment, "POST", f"{card_of_b}/charge", a["key"], json=charge), 404) == "card_not_found"
    for method, path in (
        ("GET", session_path(b)),
        ("GET", session_path(a)),
        ("GET", "/v1/sessions"),
        ("POST", "/v1/sessions"),
        ("POST", session_path(b, "/end")),
        ("POST", session_path(a, "/end")),
        ("POST", session_path(b, "/requests")),
        ("POST", "/v1/transfers"),
        ("POST", "/v1/cards"),
        ("POST", "/v1/pools"),
        ("GET", "/v1/pools"),
        ("POST", "/v1/pools/aaaaaaaaaaaa/withdrawals"),
        ("POST", "/v1/checkout"),
    ):
        sent = {"json": {}} if method == "POST" else {}
        assert refusal(call(deployment, method, path, a["key"], **sent), 403) == "user_needed"
    assert answer(call(deployment, "GET", "/v1/credits", a["key"]))["data"]["balance_micros"] == BUDGET
    mixed = a["key"][:17] + b["key"][17:]
    assert refusal(chat_with(deployment, mixed), 401) == "invalid_card_key"


def test_a_session_is_no_card_that_its_owner_could_change(deployment: Deployment, member: Person) -> None:
    """No more budget, time or models by way of the functions for cards; and no card is a session."""
    session = open_session(deployment, member, 5, models=[GEMMA])
    path = f"/v1/cards/{session['session']['session_id']}"
    acts = [("", {"expires_at_ms": None}), ("", {"models": None}), ("/close", {}), ("/key", {})]
    acts.append(("/fund", {"amount_micros": 1, "idempotency_key": "k"}))
    for what, body in acts:
        assert refusal(call(deployment, "POST", path + what, member.token, json=body), 404) == "card_not_found"
    assert refusal(call(deployment, "GET", path, member.token), 404) == "card_not_found"
    card = answer(call(deployment, "POST", "/v1/cards", member.token, json={"name": "c", "idempotency_key": "k"}))
    of_card = f"/v1/sessions/{card['card']['card_id']}"
    assert refusal(call(deployment, "GET", of_card, member.token), 404) == "card_not_found"
    assert refusal(call(deployment, "POST", f"{of_card}/end", member.token), 404) == "card_not_found"
    inside = {"call": "chat.completions", "body": CHAT}
    assert refusal(call(deployment, "POST", f"{of_card}/requests", member.token, json=inside), 404) == "card_not_found"


def test_a_session_calls_only_its_models_and_spends_only_its_budget(deployment: Deployment, member: Person) -> None:
    session = open_session(deployment, member, BUDGET, models=["BAAI/bge-en-icl"])
    poor = open_session(deployment, member, 1)
    path = session_path(session, "/requests")

    assert refusal(chat_with(deployment, session["key"]), 403) == "model_not_allowed"
    inside = {"call": "chat.completions", "body": CHAT}
    assert refusal(call(deployment, "POST", path, member.token, json=inside), 403) == "model_not_allowed"
    assert refusal(chat_with(deployment, poor["key"]), 402) == "insufficient_credits"


@pytest.mark.parametrize(
    "forged",
    [
        {"session_id": "aaaaaaaaaaaa"},
        {"account_id": "user:somebody"},
        {"card": {"models": None}},
        {"call": "transfers"},
        {"call": "jobs"},
        {"remember": True, "call": "embeddings"},
    ],
)
def test_a_forged_request_is_refused(deployment: Deployment, member: Person, forged: dict[str, Any]) -> None:
    """Whose session it is, and what it may do, is not the body's to say."""
    session = open_session(deployment, member, BUDGET)
    body = {"call": "chat.completions", "body": CHAT, **forged}

    refused = call(deployment, "POST", session_path(session, "/requests"), member.token, json=body)
    assert refusal(refused, 400) == "invalid_request"
    assert body["call"] in ("chat.completions", "embeddings") or "the session's own key" in refused.text
    assert answer(call(deployment, "GET", session_path(session), member.token))["standing"]["spent_micros"] == 0


def test_others_have_no_part_in_a_session(stack: Stack, deployment: Deployment, member: Person) -> None:
    session, other = open_session(deployment, member, BUDGET), add_member(stack, deployment)
    inside = {"call": "chat.completions", "body": CHAT}

    assert refusal(call(deployment, "GET", session_path(session), other.token), 404) == "card_not_found"
    assert refusal(call(deployment, "POST", session_path(session, "/end"), other.token), 404) == "card_not_found"
    asked = call(deployment, "POST", session_path(session, "/requests"), other.token, json=inside)
    assert refusal(asked, 404) == "card_not_found"
    assert answer(call(deployment, "GET", "/v1/sessions", other.token))["data"] == []


def test_answers_are_kept_for_the_session_alone(deployment: Deployment, member: Person) -> None:
    """Neither another session of the same user nor the user is told again what one of them asked."""
    a, b = open_session(deployment, member, BUDGET), open_session(deployment, member, BUDGET)
    words = secrets.token_hex(8)
    asked = {"credence_cache": "use", "max_tokens": 50, "messages": [{"role": "user", "content": words}]}

    def cache(token: str) -> str:
        return str(chat_with(deployment, token, **asked).headers["x-credence-cache"])

    assert [cache(a["key"]), cache(a["key"])] == ["miss", "hit"]
    assert [cache(b["key"]), cache(member.token), cache(b["key"])] == ["miss", "miss", "hit"]


def test_each_session_remembers_its_own_talk(deployment: Deployment, member: Person) -> None:
    a, b = open_session(deployment, member, BUDGET), open_session(deployment, member, BUDGET)

    def prompt_tokens(session: dict[str, Any], *, remember: bool) -> int:
        body = {"call": "chat.completions", "body": CHAT, "remember": remember}
        said = answer(call(deployment, "POST", session_path(session, "/requests"), member.token, json=body))
        return int(said["usage"]["prompt_tokens"])

    first = prompt_tokens(a, remember=True)
    assert prompt_tokens(a, remember=True) > first
    assert prompt_tokens(a, remember=False) == prompt_tokens(b, remember=True) == first


def test_a_session_is_over_at_once_when_its_time_is(stack: Stack, deployment: Deployment) -> None:
    """No call gets in any more, and the timer gives back the rest to whom it belonged."""
    owner, pool_id = rich_owner(stack, deployment, BUDGET)
    guest = joined(stack, deployment, owner, pool_id)
    session = open_session(deployment, guest, BUDGET, pool_id=pool_id, lifetime_s=3)
    answer(chat_with(deployment, session["key"], max_tokens=1))
    spent = answer(call(deployment, "GET", session_path(session), guest.token))["standing"]["spent_micros"]
    time.sleep(max(0.0, session["session"]["expires_at_ms"] / 1000 - time.time()) + 0.05)

    assert refusal(chat_with(deployment, session["key"]), 403) == "card_expired"
    inside = {"call": "chat.completions", "body": CHAT}
    asked = call(deployment, "POST", session_path(session, "/requests"), guest.token, json=inside)
    assert refusal(asked, 403) == "card_expired"
    for _ in range(20):
        answer(call(deployment, "POST", "/_timers/session_sweep", deployment.scheduler_token, json={}))
        if see(deployment, owner, pool_id)["balance_micros"]:
            break
    assert see(deployment, owner, pool_id)["me"]["share_micros"] == BUDGET - spent
    assert answer(call(deployment, "GET", session_path(session), guest.token))["session"]["status"] == "closed"


def test_after_its_end_a_session_does_nothing(deployment: Deployment, member: Person) -> None:
    session = open_session(deployment, member, BUDGET)
    answer(chat_with(deployment, session["key"]))
    answer(call(deployment, "POST", session_path(session, "/end"), member.token))

    # Whatever process still remembers the key, the account takes no hold any more.
    assert chat_with(deployment, session["key"]).status_code == 403
    inside = {"call": "chat.completions", "body": CHAT}
    asked = call(deployment, "POST", session_path(session, "/requests"), member.token, json=inside)
    assert refusal(asked, 403) == "card_closed"


def test_calls_at_the_moment_of_the_end_are_whole_or_refused_and_nothing_is_lost(
    deployment: Deployment, member: Person
) -> None:
    """With the key and without it, from many hands: what was not charged comes back, and nothing is charged after."""
    session = open_session(deployment, member, BUDGET)
    inside = {"call": "chat.completions", "body": CHAT}

    def act(number: int) -> Any:
        if number == 8:
            return call(deployment, "POST", session_path(session, "/end"), member.token)
        if number % 2:
            return call(deployment, "POST", session_path(session, "/requests"), member.token, json=inside)
        return chat_with(deployment, session["key"])

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(act, range(16)))
    charged = sum(
        outcome.json()["usage"]["cost_details"]["charged_micros"]
        for number, outcome in enumerate(outcomes)
        if number != 8 and outcome.status_code == 200
    )
    assert {outcome.status_code for outcome in outcomes} <= {200, 402, 403}
    for _ in range(20):
        if answer(call(deployment, "POST", session_path(session, "/end"), member.token))["held_micros"] == 0:
            break
    shown = answer(call(deployment, "GET", session_path(session), member.token))
    assert (shown["session"]["status"], shown["standing"]["balance_micros"]) == ("closed", 0)
    assert balance_micros(deployment, member) == GRANTED - charged


def test_a_repeat_opens_nothing_more_and_shows_no_key(deployment: Deployment, member: Person) -> None:
    first = open_session(deployment, member, 5, idempotency_key="one")
    assert open_session(deployment, member, 5, idempotency_key="one") == {**first, "key": None}
    other = {"budget_micros": 6, "idempotency_key": "one"}
    assert refusal(call(deployment, "POST", "/v1/sessions", member.token, json=other), 409) == "idempotency_key_reused"
    assert balance_micros(deployment, member) == GRANTED - 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"budget_micros": 0},
        {"budget_micros": -5},
        {"lifetime_s": 0},
        {"lifetime_s": 86_401},
        {"pool_id": "../accounts"},
        {"expires_at_ms": 4_102_444_800_000},
        {"owner": "somebody"},
        {"models": ["x"] * 101},
    ],
)
def test_what_makes_no_sense_is_refused(deployment: Deployment, member: Person, wrong: dict[str, Any]) -> None:
    body = {"budget_micros": 5, "idempotency_key": "k", **wrong}

    assert refusal(call(deployment, "POST", "/v1/sessions", member.token, json=body), 400) == "invalid_request"


def test_who_is_no_member_draws_nothing(stack: Stack, deployment: Deployment) -> None:
    owner, pool_id = rich_owner(stack, deployment, BUDGET)
    outsider, leaver = add_member(stack, deployment), joined(stack, deployment, owner, pool_id)
    answer(act(deployment, leaver, pool_id, "/leave"))
    body = {"pool_id": pool_id, "budget_micros": 5, "idempotency_key": "k"}

    for person in (outsider, leaver):
        assert refusal(call(deployment, "POST", "/v1/sessions", person.token, json=body), 404) == "pool_not_found"
    assert see(deployment, owner, pool_id)["balance_micros"] == BUDGET


def test_no_key_of_a_session_is_ever_written_down(
    deployment: Deployment, member: Person, documents: firestore.Client
) -> None:
    session = open_session(deployment, member, BUDGET)
    secret = session["key"].split("_", 2)[2]

    for collection in ("card_records", "sessions", "cards"):
        assert secret not in str([found.to_dict() for found in documents.collection(collection).stream()])
