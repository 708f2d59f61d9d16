"""Jobs over real HTTP: asked for, watched under the rules, worked at by tasks of the queue, read, stopped."""

import secrets
from typing import Any

import pytest

from local.deployment import Deployment
from local.live import LiveDocument, LiveEvents
from local.people import Person
from local.stack import Stack
from tests.clients import add_member, answer, balance_micros, call, refusal, wait_for_job

MODEL = "google/gemma-2-2b-it"
FILMS = "google/veo-3.1-fast-generate-001"


def start(deployment: Deployment, person: Person, *, key: str | None = None, **changes: Any) -> dict[str, Any]:
    """Ask for a small job."""
    job = {
        "kind": "research",
        "params": {"topic": "How are credits held? Who signs the log?"},
        "model": MODEL,
        "ceiling_micros": 9_000_000,
        "idempotency_key": key or secrets.token_hex(8),
    }
    return answer(call(deployment, "POST", "/v1/jobs", person.token, json={**job, **changes}))


def test_a_job_is_done_and_read(deployment: Deployment, member: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it cost is what the wallet lost; every event is told once, from wherever the reader goes on."""
    before = balance_micros(deployment, member)
    job = start(deployment, member, key="once")
    done = wait_for_job(deployment, member.token, job["id"], "succeeded")
    read = answer(call(deployment, "GET", f"/v1/jobs/{job['id']}", member.token))
    later = answer(call(deployment, "GET", f"/v1/jobs/{job['id']}?after=2", member.token))

    assert start(deployment, member, key="once") == done
    assert done["cost"]["spent_micros"] == before - balance_micros(deployment, member) > 0
    assert done["progress"]["percent"] == 100
    assert [event["seq"] for event in read["events"]] == list(range(1, done["progress"]["seq"] + 1))
    assert later["events"] == read["events"][2:]
    assert sum(step["charged_micros"] for step in read["steps"]) == done["cost"]["spent_micros"]
    [artifact] = done["result"]["artifacts"]
    path = f"/v1/artifacts/{artifact['artifact_id']}?job_id={job['id']}"
    report = call(deployment, "GET", path, member.token)
    assert report.status_code == 200
    assert report.headers["content-disposition"].startswith("attachment")
    assert report.text.startswith("# How are credits held?")
    assert "(docs/decisions/0" in report.text
    listed = answer(call(deployment, "GET", "/v1/jobs", member.token))
    assert [one["id"] for one in listed["data"]] == [job["id"]]


def test_its_owner_watches_it_under_the_rules(
    stack: Stack, deployment: Deployment, member: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The document and the events, with a second listener that comes late and misses and repeats nothing."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", stack.firestore_address)
    job_id = start(deployment, member)["id"]
    told: list[int] = []
    with (
        LiveDocument(deployment.project_id, f"jobs/{job_id}", member.token) as progress,
        LiveEvents(deployment.project_id, job_id, member.token, lambda event: told.append(event["seq"])) as events,
    ):
        done = progress.wait_until(lambda job: job.get("state") == "succeeded", "it never succeeded")
        events.wait_for(done["seq"])
    with LiveEvents(deployment.project_id, job_id, member.token, lambda event: None, after=3) as late:
        late.wait_for(done["seq"])

    assert told == list(range(1, done["seq"] + 1))
    assert late.seen == list(range(3, done["seq"] + 1))
    assert done["cost"]["spent_micros"] > 0
    assert done["percent"] == 100


def test_a_job_is_approved_and_another_is_cancelled(deployment: Deployment, member: Person) -> None:
    params = {"topic": "How are credits held?", "approve_plan": True}
    approved, cancelled = (start(deployment, member, params=params)["id"] for _ in range(2))
    waiting = wait_for_job(deployment, member.token, approved, "waiting")
    said = {"interrupt_id": waiting["approval"]["interrupt_id"], "answer": "yes"}

    answer(call(deployment, "POST", f"/v1/jobs/{approved}/approve", member.token, json=said))
    stopping = answer(call(deployment, "POST", f"/v1/jobs/{cancelled}/cancel", member.token, json={}))

    assert stopping["status"] == "stopping"
    wait_for_job(deployment, member.token, approved, "succeeded")
    wait_for_job(deployment, member.token, cancelled, "cancelled")
    assert refusal(
        call(deployment, "POST", f"/v1/jobs/{approved}/approve", member.token, json={**said, "answer": "no"}), 409
    )


def test_a_job_waits_for_credits_and_goes_on(deployment: Deployment, member: Person) -> None:
    job = start(deployment, member, ceiling_micros=6_000)
    paused = wait_for_job(deployment, member.token, job["id"], "paused_budget")

    assert paused["pause"]["limit"] == "ceiling"
    assert paused["cost"]["spent_micros"] <= 6_000
    raised = {"ceiling_micros": 9_000_000}
    answer(call(deployment, "POST", f"/v1/jobs/{job['id']}/resume", member.token, json=raised))
    wait_for_job(deployment, member.token, job["id"], "succeeded")


def test_nobody_else_sees_or_stops_it(stack: Stack, deployment: Deployment, member: Person) -> None:
    eve = add_member(stack, deployment)
    job_id = start(deployment, member)["id"]
    done = wait_for_job(deployment, member.token, job_id, "succeeded")
    artifact_id = done["result"]["artifacts"][0]["artifact_id"]

    assert refusal(call(deployment, "GET", f"/v1/jobs/{job_id}", eve.token), 404) == "job_absent"
    assert refusal(call(deployment, "POST", f"/v1/jobs/{job_id}/cancel", eve.token, json={}), 404) == "job_absent"
    path = f"/v1/artifacts/{artifact_id}?job_id={job_id}"
    assert refusal(call(deployment, "GET", path, eve.token), 404) == "job_absent"
    assert answer(call(deployment, "GET", "/v1/jobs", eve.token))["data"] == []


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"kind": "magic"}, 400, "invalid_request"),
        ({"params": {}}, 400, "invalid_request"),
        ({"params": {"topic": "x" * 3_000}}, 400, "invalid_request"),
        ({"model": "no/such-model"}, 404, "model_not_found"),
        ({"ceiling_micros": 0}, 400, "invalid_request"),
        ({"kind": "video", "params": {"prompt": "x", "model": FILMS, "seconds": 5}}, 400, "invalid_request"),
    ],
)
def test_what_cannot_be_done_is_refused(
    deployment: Deployment, member: Person, changes: dict[str, Any], status: int, code: str
) -> None:
    job = {
        "kind": "research",
        "params": {"topic": "How are credits held?"},
        "model": MODEL,
        "ceiling_micros": 9_000_000,
        "idempotency_key": "x",
    }
    assert refusal(call(deployment, "POST", "/v1/jobs", member.token, json={**job, **changes}), status) == code


def test_the_sweep_finds_nothing_to_do(deployment: Deployment) -> None:
    swept = answer(call(deployment, "POST", "/_timers/job_sweep", deployment.scheduler_token, json={}))

    assert swept == {"requeued": 0, "ended": 0, "given_back": 0, "failed": 0, "put_aside": 0, "finished": True}
