"""The demo's job: research over this project's own documents, watched live, its worker killed once on purpose."""

import os
import time
from collections.abc import Mapping
from typing import Any

import requests

from local.deployment import Deployment
from local.live import LiveDocument, LiveEvents
from local.people import Person
from local.process import ProcessFailed
from local.stack import Stack
from shared.base.micros import format_credits

TIMEOUT_S = 60.0
MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct"
TOPIC = (
    "How is the worst case of a call held? How does a job go on after its worker died? Who signs the public log? "
    "How are cards limited? How does demand move a price? What is done about fraud?"
)
CEILING_MICROS = 100_000_000
KILLED_AT_STEP = 2


def research(stack: Stack, deployment: Deployment, person: Person, model: str = MODEL) -> dict[str, Any]:
    """The job once it is done. Raise ProcessFailed when it never is."""
    os.environ["FIRESTORE_EMULATOR_HOST"] = stack.firestore_address
    asked = {
        "kind": "research",
        "params": {"topic": TOPIC, "questions_max": 6},
        "model": model,
        "ceiling_micros": CEILING_MICROS,
        "idempotency_key": f"demo-{time.time_ns()}",
    }
    job = _call(deployment, person, "POST", "/v1/jobs", json=asked).json()
    job_id, project = str(job["id"]), deployment.project_id
    print(f"    job {job_id}, at most {format_credits(CEILING_MICROS)} credits")
    with (
        LiveDocument(project, f"jobs/{job_id}", person.token) as progress,
        LiveEvents(project, job_id, person.token, _tell) as events,
    ):
        seen = progress.wait_until(lambda job: job.get("steps_done", 0) >= KILLED_AT_STEP, "no step was finished")
        if seen["state"] not in ("queued", "running"):
            raise ProcessFailed(f"the job was {seen['state']} before its worker could be killed")
        deployment.crash()
        print(
            f"    -- the worker was killed with SIGKILL at step {seen['steps_done']} of about {seen['steps_expected']}"
        )
        done = progress.wait_until(lambda job: job.get("state") in ("succeeded", "failed"), "it never ended")
        events.wait_for(done["seq"])
        if events.seen != list(range(done["seq"] + 1)):
            raise ProcessFailed(f"the listener saw the events {events.seen}")
    return _call(deployment, person, "GET", f"/v1/jobs/{job_id}").json()


def report_of(deployment: Deployment, person: Person, job: Mapping[str, Any]) -> str:
    """What the job wrote."""
    artifact_id = job["result"]["artifacts"][0]["artifact_id"]
    response = _call(deployment, person, "GET", f"/v1/artifacts/{artifact_id}?job_id={job['id']}")
    return response.text


def _call(deployment: Deployment, person: Person, method: str, path: str, **rest: Any) -> requests.Response:
    headers = {"authorization": f"Bearer {person.token}"}
    response = requests.request(method, deployment.url + path, headers=headers, timeout=TIMEOUT_S, **rest)
    if response.status_code != requests.codes.ok:
        raise ProcessFailed(f"{method} {path} answered {response.status_code}: {response.text}")
    return response


def _tell(event: Mapping[str, Any]) -> None:
    print(f"    event {event['seq']:>2}  {event['kind']:<10} {event['text'][:90]}", flush=True)
