"""The wrapper around task functions: what it takes, from whom, and what is acknowledged or tried again."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from shared.app import App
from shared.base.body import Body
from shared.base.errors import CredenceError, Kind
from shared.identity.models import Service
from shared.web.errors import DELIVERY_OF_KIND, STATUS_OF_KIND, Delivery
from shared.web.task import TASK_BYTES_MAX, TOO_EARLY, TaskFunction, task_function
from tests.web.conftest import Lines
from tests.web.server import Reply, Site, serve

QUEUE = {
    "authorization": "Bearer queue",
    "x-cloudtasks-taskname": "task-1",
    "x-cloudtasks-taskretrycount": "2",
}


class Step(Body, frozen=True, kw_only=True):
    """A payload."""

    job_id: str


class Refused(CredenceError):
    """A refusal of any kind."""

    code = "refused"

    def __init__(self, kind: Kind) -> None:
        super().__init__("Refused.")
        self.kind = kind  # type: ignore[misc]


class Identity:
    """Knows two tokens."""

    async def service(self, token: str) -> Service:
        if token not in ("queue", "other"):
            raise Refused(Kind.UNAUTHENTICATED)
        return Service("tasks@example.com", frozenset({"task"} if token == "queue" else {"timer"}))


@pytest.fixture(autouse=True)
def known_services(monkeypatch: pytest.MonkeyPatch) -> None:
    """The identity of every app is ours; who checks real tokens is tested where identity is."""
    monkeypatch.setattr(App, "identity", Identity())


def taking(taken: list[Step], error: Exception | None = None) -> TaskFunction:
    """Takes steps, and fails at its work if it is given an error."""

    @task_function(body=Step)
    async def take(step: Step, app: App) -> None:
        taken.append(step)
        if error is not None:
            raise error

    return take


async def post(site: Site, body: object = None, headers: Mapping[str, str] = QUEUE) -> Reply:
    return await site.ask("POST", "/take", json.dumps(body or {"job_id": "j1"}).encode(), headers)


def line_of(lines: list[dict[str, Any]], message: str) -> dict[str, Any]:
    [line] = [line for line in lines if line["message"] == message]
    return line


async def test_a_handler_is_given_the_payload(log_lines: Lines) -> None:
    """And the log the name of the task, and how often it came before."""
    taken: list[Step] = []
    async with serve(taking(taken)) as site:
        reply = await post(site)

    assert (reply.status, reply.body, taken) == (200, b"", [Step(job_id="j1")])
    line = line_of(log_lines(), "request")
    assert (line["function"], line["task"], line["retries"], line["status"]) == ("take", "task-1", 2, 200)


@pytest.mark.parametrize(
    ("authorization", "status"), [(None, 401), ("Bearer stranger", 401), ("Bearer other", 403), ("Basic queue", 401)]
)
async def test_a_stranger_is_refused_and_not_acknowledged(authorization: str | None, status: int) -> None:
    """The queue's headers prove nothing."""
    taken: list[Step] = []
    headers = {**QUEUE, **({"authorization": authorization} if authorization else {})}
    if authorization is None:
        del headers["authorization"]
    async with serve(taking(taken)) as site:
        reply = await post(site, headers=headers)

    assert (reply.status, taken) == (status, [])


@pytest.mark.parametrize("kind", list(Kind))
async def test_only_what_may_still_succeed_is_tried_again(kind: Kind, log_lines: Lines) -> None:
    """And what one job is too busy for does not slow down the queue, as a 429 would."""
    async with serve(taking([], Refused(kind))) as site:
        reply = await post(site)

    if DELIVERY_OF_KIND[kind] is Delivery.ACKNOWLEDGE:
        assert reply.status == 200
        assert line_of(log_lines(), "task_dropped")["code"] == "refused"
    else:
        assert reply.status == (TOO_EARLY if kind is Kind.BUSY else STATUS_OF_KIND[kind])
        assert line_of(log_lines(), "task_refused")["code"] == "refused"


async def test_a_defect_is_tried_again(log_lines: Lines) -> None:
    async with serve(taking([], RuntimeError("a defect"))) as site:
        reply = await post(site)

    assert reply.status == 500
    assert line_of(log_lines(), "request")["code"] == "RuntimeError"


@pytest.mark.parametrize("body", [{"job_id": 1}, {"other": "x"}, {"job_id": "x" * TASK_BYTES_MAX}])
async def test_what_is_no_payload_is_dropped_and_told(body: object, log_lines: Lines) -> None:
    """However often it came, it would be none."""
    taken: list[Step] = []
    async with serve(taking(taken)) as site:
        reply = await post(site, body)

    assert (reply.status, taken) == (200, [])
    assert line_of(log_lines(), "task_dropped")["severity"] == "ERROR"


async def test_headers_of_another_form_are_not_believed(log_lines: Lines) -> None:
    headers = {**QUEUE, "x-cloudtasks-taskname": "a b", "x-cloudtasks-taskretrycount": "-1"}
    async with serve(taking([])) as site:
        assert (await post(site, headers=headers)).status == 200

    line = line_of(log_lines(), "request")
    assert (line["task"], line["retries"]) == ("", 0)


async def test_a_task_is_posted() -> None:
    async with serve(taking([])) as site:
        reply = await site.ask("GET", "/take", headers=QUEUE)

    assert reply.status == 405
