"""Firebase's client for the web, which no code of ours has a part in, watches a job under the security rules."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.deployment import Deployment
from local.node import node_command
from local.people import Person
from local.stack import Stack
from tests.clients import add_member, answer, call, wait_for_job
from tests.independent.environment import PROGRAMS, TIMEOUT_S

JOB = {
    "kind": "research",
    "params": {"topic": "How are credits held? Who signs the log?"},
    "model": "google/gemma-2-2b-it",
    "ceiling_micros": 9_000_000,
    "idempotency_key": "watched",
}
LEFT_AFTER_EVENTS = 3


@pytest.fixture
def member(stack: Stack, deployment: Deployment) -> Person:
    return add_member(stack, deployment)


def watched(
    stack: Stack, deployment: Deployment, person: Person, job_id: str, home: Path, *, after: int = 0
) -> Iterator[dict[str, Any]]:
    """What a page is told, as it comes. Whoever stops reading closes the page."""
    host, port = stack.firestore_address.split(":")
    asked = {"project": deployment.project_id, "host": host, "port": int(port), "token": person.token}
    with subprocess.Popen(
        node_command(PROGRAMS / "web_watch.mjs"),
        env={"PATH": os.environ["PATH"], "HOME": str(home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as page:
        assert page.stdin is not None
        assert page.stdout is not None
        page.stdin.write(json.dumps({**asked, "job": job_id, "after": after}))
        page.stdin.close()
        try:
            for line in page.stdout:
                yield json.loads(line)
            assert page.wait(TIMEOUT_S) == 0
        finally:
            page.kill()


def test_a_page_that_is_closed_and_opened_again_misses_and_repeats_nothing(
    stack: Stack, deployment: Deployment, member: Person, tmp_path: Path
) -> None:
    job_id = answer(call(deployment, "POST", "/v1/jobs", member.token, json=JOB))["id"]

    told: list[int] = []
    page = watched(stack, deployment, member, job_id, tmp_path)
    while len(told) < LEFT_AFTER_EVENTS:
        told += [said["event"] for said in [next(page)] if "event" in said]
    page.close()
    again = list(watched(stack, deployment, member, job_id, tmp_path, after=told[-1]))

    done = wait_for_job(deployment, member.token, job_id, "succeeded")
    told += [said["event"] for said in again if "event" in said]
    assert told == list(range(1, done["progress"]["seq"] + 1))
    last = [said for said in again if "state" in said][-1]
    assert last == {"state": "succeeded", "percent": 100, "spent_micros": done["cost"]["spent_micros"]}


def test_a_strangers_page_is_told_nothing(stack: Stack, deployment: Deployment, member: Person, tmp_path: Path) -> None:
    job_id = answer(call(deployment, "POST", "/v1/jobs", member.token, json=JOB))["id"]
    stranger = add_member(stack, deployment)

    page = watched(stack, deployment, stranger, job_id, tmp_path)
    assert next(page) == {"refused": "permission-denied"}
    page.close()
