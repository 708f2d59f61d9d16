"""The functions of contributed keys over HTTP: who may do what, and no key where anybody could read it.

One key is a canary: it is deposited, tried, used, refused and withdrawn, and then looked for in everything that was
written.
"""

import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest
from google.cloud import firestore

from local.contributor import MODEL, Contributor
from local.deployment import Deployment
from local.people import Person
from local.stack import Stack
from tests.clients import add_member, answer, call, refusal

CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 20}


@pytest.fixture
def contributor(deployment: Deployment, member: Person) -> Contributor:
    return Contributor(deployment, member.token)


def path_of(contribution: dict[str, Any], what: str = "") -> str:
    return f"/v1/contributions/{contribution['key_id']}{what}"


def test_a_key_is_deposited_tried_paused_resumed_and_withdrawn(
    deployment: Deployment, member: Person, contributor: Contributor
) -> None:
    """The whole life of one, by its owner."""
    body = contributor.deposit_of("sk-live")
    deposited = contributor.deposit(body)
    assert contributor.deposit(body)["key_id"] == deposited["key_id"]

    active = contributor.wait_for(deposited["key_id"], "active")
    assert (active["quota_micros"], active["advance_micros"]) == (100_000_000, 8_500_000)
    assert active["advance_locked_micros"] == 8_500_000
    assert active["trust"]["ppm"] == 350_000
    assert answer(call(deployment, "GET", "/v1/contributions", member.token))["data"] == [active]
    earned = answer(call(deployment, "GET", "/v1/earnings", member.token))
    assert sum(value for name, value in earned.items() if name.endswith("_micros")) == 0, "nobody has earned it yet"

    for what, status in (("/pause", "paused"), ("/resume", "cooling")):
        changed = answer(call(deployment, "POST", path_of(active, what), member.token))
        assert changed["contribution"]["status"] == status
    contributor.wait_for(active["key_id"], "active")
    withdrawn = answer(call(deployment, "POST", path_of(active, "/withdraw"), member.token))["contribution"]
    assert (withdrawn["status"], withdrawn["advance_locked_micros"]) == ("withdrawn", 0)
    assert refusal(call(deployment, "POST", path_of(active, "/pause"), member.token), 409) == "contribution_over"


def test_a_key_that_its_provider_refuses_is_refused(contributor: Contributor) -> None:
    """The provider quotes it in the refusal, which goes no further."""
    refused = contributor.wait_for(
        contributor.deposit(contributor.deposit_of("sk-dead"))["key_id"], "refused", "active"
    )

    assert (refused["status"], refused["advance_micros"]) == ("refused", 0)


def test_somebody_elses_key_is_as_none_and_taken_from_nobody_twice(
    stack: Stack, deployment: Deployment, contributor: Contributor
) -> None:
    body = contributor.deposit_of("sk-live")
    contribution, other = contributor.deposit(body), add_member(stack, deployment)

    for method, what in (("GET", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/withdraw")):
        assert (
            refusal(call(deployment, method, path_of(contribution, what), other.token), 404) == "contribution_not_found"
        )
    stolen = call(deployment, "POST", "/v1/contributions", other.token, json=body)
    assert refusal(stolen, 409) == "key_duplicate"


def test_a_provider_whose_terms_forbid_it_is_refused_with_the_reason(
    deployment: Deployment, member: Person, contributor: Contributor
) -> None:
    body = {**contributor.deposit_of("sk-live"), "provider": "openai", "models": ["openai/gpt-4o-mini"]}

    refused = call(deployment, "POST", "/v1/contributions", member.token, json=body)

    assert refusal(refused, 403) == "pooling_not_allowed"
    assert "terms forbid to buy, sell or transfer API keys" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("base_url", "https://evil.example/v1"),
        ("api_base", "https://evil.example/v1"),
        ("host", "evil.example"),
        ("headers", {"host": "evil.example"}),
        ("provider", "https://evil.example/v1"),
        ("provider", "../openai"),
        ("key", {"text": "sk-live-0123456789"}),
        ("models", [{"id": MODEL, "base_url": "https://evil.example"}]),
        ("quota_micros", 0),
        ("quota_micros", "100000000"),
    ],
)
def test_no_word_of_a_deposit_is_an_address(
    deployment: Deployment, member: Person, contributor: Contributor, field: str, value: object
) -> None:
    """No URL, header or nested parameter of a client's decides where a key is sent."""
    body = {**contributor.deposit_of("sk-live"), field: value}

    refused = call(deployment, "POST", "/v1/contributions", member.token, json=body)

    assert refusal(refused, 400) == "invalid_request"
    assert "sk-live" not in refused.text


def test_only_an_operator_decides_about_a_provider(deployment: Deployment, member: Person) -> None:
    decided = {"allowed": True, "reason": "I say so."}
    path = "/v1/providers/openai/pooling"
    for token, status in ((member.token, 401), (deployment.backend_token, 403), (deployment.scheduler_token, 403)):
        assert call(deployment, "POST", path, token, json=decided).status_code == status


def texts_in(documents: firestore.Client) -> Iterator[str]:
    """Every document of the project, those of subcollections too, as text."""
    waiting = list(documents.collections())
    while waiting:
        for reference in waiting.pop().list_documents():
            waiting += reference.collections()
            yield f"{reference.path} {reference.get().to_dict()!r}"


def test_a_key_is_found_nowhere_once_it_was_sent(
    stack: Stack, deployment: Deployment, member: Person, contributor: Contributor, documents: firestore.Client
) -> None:
    """Not in logs, documents, answers or refusals, through deposit, trying, use, failure and withdrawal.

    That a task carries none of it, `tests/resources/test_deposits.py` proves.
    """
    canary = secrets.token_hex(16)
    said: list[str] = []

    def ask(method: str, path: str, token: str, **rest: Any) -> Any:
        response = call(deployment, method, path, token, **rest)
        said.append(f"{response.headers!r} {response.text}")
        return response.json()

    live, dead = ({**contributor.deposit_of("x"), "key": f"sk-{kind}-{canary}"} for kind in ("live", "dead"))
    made = [ask("POST", "/v1/contributions", member.token, json=body)["contribution"] for body in (live, dead)]
    for one, status in zip(made, ("active", "refused"), strict=True):
        contributor.wait_for(one["key_id"], status)
    thief = add_member(stack, deployment)
    for body in (
        live,
        {**live, "quota_micros": 5_000_000},
        {**live, "models": ["nobody/nothing"]},
        {**live, "provider": "nobody"},
        {**live, "key": f"sk-live-{canary}\n", "idempotency_key": "n"},
        {**live, "key": [f"sk-live-{canary}"]},
    ):
        for token in (member.token, thief.token):
            ask("POST", "/v1/contributions", token, json=body)
    caller = add_member(stack, deployment)
    for content in ("hi", "[[error-401]]", "[[error-500]]"):
        for _ in range(3):
            ask("POST", "/v1/chat/completions", caller.token, json=_chat(content))
    ask("POST", path_of(made[0], "/pause"), member.token)
    ask("POST", path_of(made[0], "/resume"), member.token)
    time.sleep(1.0)
    ask("POST", "/_timers/key_check", deployment.scheduler_token)
    for one in made:
        ask("GET", path_of(one), member.token)
        ask("POST", path_of(one, "/withdraw"), member.token)
    ask("GET", "/v1/contributions", member.token)

    stored = list(texts_in(documents))
    assert any(made[0]["key_id"] in text for text in stored), "the walk sees what there is"
    assert [text for text in said if canary in text] == []
    assert [text for text in stored if canary in text] == []
    assert canary not in deployment.log
    assert "key_deposited" in deployment.log


def _chat(content: str) -> dict[str, Any]:
    return {**CHAT, "messages": [{"role": "user", "content": content}]}
