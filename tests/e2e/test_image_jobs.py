"""Jobs that paint, over the whole stack: the queue delivers, twice where it is told to, and to a new gateway."""

import secrets
import time
from typing import Any

import pytest

from local.deployment import Deployment
from local.manifest import read_queues
from local.people import Person
from local.process import free_port
from local.stack import Stack
from shared.base.economy import WELCOME_STAGES
from tests.clients import add_member, add_person, answer, balance_micros, call, refusal, start_account
from tests.e2e.books import Books

GRANTED = WELCOME_STAGES[0].amount_micros
PICTURE_MICROS = 450_000
ASKED = {"model": "black-forest-labs/flux-schnell", "prompt": "A cat", "background": True}
DEADLINE_S = 60.0
"""A job takes a second; a machine that is busy must not fail a test."""


def accept(deployment: Deployment, token: str, **fields: Any) -> str:
    """Ask for a job; its id."""
    response = call(deployment, "POST", "/v1/images/generations", token, json={**ASKED, **fields})
    assert response.status_code == 202, response.text
    body = response.json()
    assert (body["object"], body["status"]) == ("image.job", "queued")
    assert response.headers["location"] == f"/v1/images/jobs/{body['id']}"
    return str(body["id"])


def finished(deployment: Deployment, token: str, job_id: str) -> dict[str, Any]:
    """The job once it is over."""
    gives_up_at = time.monotonic() + DEADLINE_S
    while time.monotonic() < gives_up_at:
        job = answer(call(deployment, "GET", f"/v1/images/jobs/{job_id}", token))
        if job["status"] not in ("queued", "running"):
            return job
        time.sleep(0.05)
    pytest.fail("the job did not end")


async def test_a_job_is_painted_and_charged_once_though_its_task_comes_three_times(
    stack: Stack, deployment: Deployment, member: Person, books: Books
) -> None:
    """Twice at once, and again because the answer was lost."""
    stack.cloud_tasks.misbehave(deployment.project_id, duplicates=1, lost_answers=1)

    job_id = accept(deployment, member.token, n=2)
    job = finished(deployment, member.token, job_id)

    assert (job["status"], job["progress"]) == ("succeeded", {"percent": 100, "asked": 2, "painted": 2})
    assert [bool(item["b64_json"]) for item in job["data"]] == [True, True]
    assert job["usage"]["cost_details"]["charged_micros"] == 2 * PICTURE_MICROS
    with stack.cloud_tasks.client() as client:
        name = f"projects/{deployment.project_id}/locations/local-region1/queues/images"
        gives_up_at = time.monotonic() + DEADLINE_S
        # Until only what is scheduled for the ends of jobs is left.
        while any(not task.schedule_time.timestamp() > time.time() + 60 for task in client.list_tasks(parent=name)):
            assert time.monotonic() < gives_up_at
            time.sleep(0.05)
    assert balance_micros(deployment, member) == GRANTED - 2 * PICTURE_MICROS
    [charge] = await books.charges(member)
    assert charge.entry_id == job["usage"]["cost_details"]["receipt_id"]
    books.verify(member)


def test_a_job_outlives_the_gateway_that_accepted_it(stack: Stack) -> None:
    """The queue keeps its task until there is another one."""
    project_id = f"demo-{secrets.token_hex(8)}"
    port = free_port()
    with Deployment(stack, project_id, port=port) as first:
        person = add_person(stack, first)
        start_account(first, person)
        stack.cloud_tasks.detach(project_id, read_queues())
        job_id = accept(first, person.token)

    with Deployment(stack, project_id, port=port) as second:
        job = finished(second, person.token, job_id)
        assert job["status"] == "succeeded"
        assert balance_micros(second, person) == GRANTED - PICTURE_MICROS


def test_a_job_is_its_owners(stack: Stack, deployment: Deployment, member: Person) -> None:
    """Nobody else learns that there is one."""
    job_id = accept(deployment, member.token)
    stranger = add_member(stack, deployment)

    assert refusal(call(deployment, "GET", f"/v1/images/jobs/{job_id}", stranger.token), 404) == "image_job_absent"
    assert refusal(call(deployment, "GET", f"/v1/images/jobs/{job_id}"), 401) == "missing_token"


def test_a_cards_job_is_paid_by_the_card_and_seen_by_its_owner(deployment: Deployment, member: Person) -> None:
    terms = {"name": "a card", "amount_micros": 1_000_000, "idempotency_key": "one"}
    key = answer(call(deployment, "POST", "/v1/cards", member.token, json=terms))["key"]

    job_id = accept(deployment, key)

    for token in (key, member.token):
        assert finished(deployment, token, job_id)["status"] == "succeeded"
    assert answer(call(deployment, "GET", "/v1/credits", key))["data"]["balance_micros"] == 1_000_000 - PICTURE_MICROS


def test_only_the_queue_runs_jobs(deployment: Deployment, member: Person) -> None:
    """Not the user, and not another service."""
    run = {"job_id": "imgjob_x"}
    for token, status in ((member.token, 401), (deployment.backend_token, 403), (None, 401)):
        assert call(deployment, "POST", "/_tasks/image_run", token, json=run).status_code == status
    assert call(deployment, "POST", "/_tasks/image_run", deployment.task_token, json=run).status_code == 200


def test_what_cannot_be_paid_has_no_job(deployment: Deployment, member: Person) -> None:
    model = "openai/gpt-image-2.5-flare"
    response = call(deployment, "POST", "/v1/images/generations", member.token, json={**ASKED, "model": model, "n": 10})

    assert refusal(response, 402) == "insufficient_credits"
