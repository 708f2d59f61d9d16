"""The functions of contributed keys over HTTP: who may do what, and no key where anybody could read it.

One key is a canary: it is deposited, tried, used, refused and withdrawn, and then looked for in everything that was
written.
"""

import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from google.cloud import firestore, tasks_v2

from local.cloud_tasks.emulator import queue_of
from local.contributor import MODEL, Contributor
from local.deployment import Deployment
from local.manifest import read_queues
from local.people import Person
from local.stack import Stack
from local.treasury import Treasury
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


def test_a_served_call_is_complained_of_by_whoever_paid_for_it_and_judged_by_operators(
    stack: Stack, deployment: Deployment, member: Person
) -> None:
    """Proved by its receipt; a stranger with the same receipt is told that there is none."""
    complaint = {"receipt_id": Treasury(deployment.environment).serve_by_key(member.uid), "defect": "nonsense"}
    stranger = add_member(stack, deployment)
    stolen = call(deployment, "POST", "/v1/complaints", stranger.token, json=complaint)
    assert refusal(stolen, 404) == "receipt_not_found"
    for wrong in ({"receipt_id": "x"}, {"defect": "I hate it"}, {"key_id": "a" * 12}, {"by": stranger.uid}):
        refused = call(deployment, "POST", "/v1/complaints", member.token, json={**complaint, **wrong})
        assert refusal(refused, 400) == "invalid_request"

    made = [answer(call(deployment, "POST", "/v1/complaints", member.token, json=complaint)) for _ in range(2)]
    assert made[0] == made[1]
    other = {**complaint, "defect": "cut_off"}
    assert refusal(call(deployment, "POST", "/v1/complaints", member.token, json=other), 409) == "complaint_made"

    path = f"/v1/complaints/{made[0]['complaint_id']}"
    judgement = {"upheld": False, "reason": "It answered."}
    for token, status in ((member.token, 401), (deployment.backend_token, 403)):
        assert call(deployment, "GET", "/v1/complaints", token).status_code == status
        assert call(deployment, "POST", path, token, json=judgement).status_code == status
    operator = deployment.operator_token
    [waiting] = answer(call(deployment, "GET", "/v1/complaints", operator))["complaints"]
    assert (waiting["complaint_id"], waiting["by"], waiting["counts"]) == (path[15:], member.uid, True)
    judged = answer(call(deployment, "POST", path, operator, json=judgement))["complaint"]
    assert (judged["upheld"], judged["counts"]) == (False, False)
    assert answer(call(deployment, "GET", "/v1/complaints", operator))["complaints"] == []


def texts_in(documents: firestore.Client) -> Iterator[str]:
    """Every document of the project, those of subcollections too, as text."""
    waiting = list(documents.collections())
    while waiting:
        for reference in waiting.pop().list_documents():
            waiting += reference.collections()
            yield f"{reference.path} {reference.get().to_dict()!r}"


def exported(stack: Stack, deployment: Deployment, folder: Path) -> Iterator[bytes]:
    """What a backup of the project is made of, file by file, as bytes."""
    project = f"projects/{deployment.project_id}"
    asked = {"database": f"{project}/databases/(default)", "export_directory": str(folder), "export_name": "backup"}
    url = f"http://{stack.firestore_address}/emulator/v1/{project}:export"
    response = requests.post(url, json=asked, timeout=60)
    assert response.status_code == 200, response.text
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.read_bytes()


def waiting_tasks(stack: Stack, deployment: Deployment) -> list[str]:
    """All that waits in the queue of keys, which is stopped for it."""
    [keys] = [row for row in read_queues() if row.name == "keys"]
    name = queue_of(deployment.project_id, keys).name
    with stack.cloud_tasks.client() as client:
        found = client.list_tasks({"parent": name, "response_view": tasks_v2.Task.View.FULL})
        return [repr(task) for task in found]


def test_a_key_is_found_nowhere_once_it_was_sent(
    stack: Stack,
    deployment: Deployment,
    member: Person,
    contributor: Contributor,
    documents: firestore.Client,
    tmp_path: Path,
) -> None:
    """Not in logs, documents, backups, tasks, answers or refusals, through deposit, trying, use, failure, complaint and
    withdrawal. Every trace there is goes through the log. What a process that crashes leaves, `tests/test_remains.py`
    looks through.
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
    stack.cloud_tasks.detach(deployment.project_id, read_queues())
    ask("POST", path_of(made[0], "/resume"), member.token)
    tasks = waiting_tasks(stack, deployment)
    stack.cloud_tasks.attach(deployment.project_id, deployment.issuer, read_queues())
    receipt = Treasury(deployment.environment).serve_by_key(caller.uid)
    ask("POST", "/v1/complaints", caller.token, json={"receipt_id": receipt, "defect": "nonsense"})
    time.sleep(1.0)
    ask("POST", "/_timers/key_check", deployment.scheduler_token)
    for one in made:
        ask("GET", path_of(one), member.token)
        ask("POST", path_of(one, "/withdraw"), member.token)
    ask("GET", "/v1/contributions", member.token)

    stored = list(texts_in(documents))
    assert any(made[0]["key_id"] in text for text in stored), "the walk sees what there is"
    assert any(made[0]["key_id"] in task for task in tasks), "and what waits"
    assert [task for task in tasks if canary in task] == []
    backup = list(exported(stack, deployment, tmp_path))
    assert any(made[0]["key_id"].encode() in file for file in backup), "and what a backup has"
    assert [file for file in backup if canary.encode() in file] == []
    assert [text for text in said if canary in text] == []
    assert [text for text in stored if canary in text] == []
    assert canary not in deployment.log
    assert "key_deposited" in deployment.log


def _chat(content: str) -> dict[str, Any]:
    return {**CHAT, "messages": [{"role": "user", "content": content}]}
