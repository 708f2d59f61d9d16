"""Our few lines against the Cloud Tasks API, read by Google's own library, and against a server that fails."""

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.cloud import tasks_v2

from local.cloud_tasks.emulator import LOCATION, CloudTasksEmulator, location_of, start_cloud_tasks
from local.oidc import LocalIssuer
from shared.base.settings import Settings, SettingsWrong
from shared.tasks import gateway
from shared.tasks.errors import TasksUnavailable
from shared.tasks.gateway import ATTEMPTS_MAX, CloudTasks
from shared.tasks.service import Task
from tests.tasks.receiver import receiving

ACCOUNT, AUDIENCE = "tasks@example.com", "https://credence.example"
TASK = Task(
    task_id="a" * 64,
    queue="work",
    url="https://run.example/x",
    body=b'{"a":1}',
    deadline_s=120,
    at_ms=1_700_000_000_250,
)


def cloud_tasks(address: str, project_id: str = "demo-tasks") -> CloudTasks:
    return CloudTasks(
        location=location_of(project_id), service_account=ACCOUNT, audience=AUDIENCE, emulator_host=address
    )


@asynccontextmanager
async def answering(*codes: grpc.StatusCode) -> AsyncIterator[tuple[str, list[Any]]]:
    """An API that refuses with the given codes in turn, then creates; its address, and what it was asked."""
    asked: list[Any] = []
    left = list(codes)

    async def create_task(request: Any, context: Any) -> Any:
        asked.append((request, dict(context.invocation_metadata())))
        if left:
            await context.abort(left.pop(0), "on purpose")
        return request.task

    handler = grpc.unary_unary_rpc_method_handler(
        create_task, tasks_v2.CreateTaskRequest.deserialize, tasks_v2.Task.serialize
    )
    server = grpc.aio.server()
    service = "google.cloud.tasks.v2.CloudTasks"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"CreateTask": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}", asked
    finally:
        await server.stop(None)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "BACKOFF_S", 0.01)


async def test_google_reads_what_we_write() -> None:
    """Every field that we send, at its number, and none besides."""
    async with answering() as (address, asked):
        assert await cloud_tasks(address).create(TASK) is True

    [(request, metadata)] = asked
    parent = f"{location_of('demo-tasks')}/queues/work"
    assert request == tasks_v2.CreateTaskRequest(
        parent=parent,
        task={
            "name": f"{parent}/tasks/{'a' * 64}",
            "schedule_time": {"seconds": 1_700_000_000, "nanos": 250_000_000},
            "dispatch_deadline": {"seconds": 120},
            "http_request": {
                "url": "https://run.example/x",
                "http_method": "POST",
                "headers": {"content-type": "application/json"},
                "body": b'{"a":1}',
                "oidc_token": {"service_account_email": ACCOUNT, "audience": AUDIENCE},
            },
        },
    )
    assert metadata["x-goog-request-params"] == f"parent={parent}"


async def test_a_task_that_is_there_counts_as_posted() -> None:
    async with answering(grpc.StatusCode.ALREADY_EXISTS) as (address, asked):
        assert await cloud_tasks(address).create(TASK) is False
    assert len(asked) == 1


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED])
async def test_a_moments_trouble_is_outlived(code: grpc.StatusCode) -> None:
    """The first answer may have been lost on its way, so the second may say that the task exists."""
    async with answering(code, grpc.StatusCode.ALREADY_EXISTS) as (address, asked):
        assert await cloud_tasks(address).create(TASK) is False
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("code", "attempts"),
    [
        (grpc.StatusCode.UNAVAILABLE, ATTEMPTS_MAX),
        (grpc.StatusCode.PERMISSION_DENIED, 1),
        (grpc.StatusCode.NOT_FOUND, 1),
    ],
)
async def test_a_queue_that_refuses_is_unavailable(code: grpc.StatusCode, attempts: int) -> None:
    """Tried again only where that can help."""
    async with answering(*[code] * 9) as (address, asked):
        with pytest.raises(TasksUnavailable):
            await cloud_tasks(address).create(TASK)
    assert len(asked) == attempts


async def test_a_queue_that_nobody_serves_is_unavailable() -> None:
    with pytest.raises(TasksUnavailable):
        await cloud_tasks("127.0.0.1:9").create(TASK)


@pytest.mark.parametrize("missing", ["tasks_location", "task_service_account", "service_audience"])
def test_settings_say_where_tasks_go_and_as_whom_they_come(missing: str) -> None:
    named = {"tasks_location": "europe-west1", "task_service_account": ACCOUNT, "service_audience": AUDIENCE}
    CloudTasks.from_settings(Settings(project_id="p", **named))
    with pytest.raises(SettingsWrong):
        CloudTasks.from_settings(Settings(project_id="p", **{**named, missing: None}))


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudTasksEmulator]:
    started = start_cloud_tasks(Path(tmp_path_factory.mktemp("tasks")))
    with started.service:
        yield started


async def test_credentials_that_do_not_come_are_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next post asks anew."""
    answered = threading.Event()
    monkeypatch.setattr(gateway, "CREDENTIALS_TIMEOUT_S", 0.01)
    monkeypatch.setattr("google.auth.default", lambda scopes: (answered.wait(5), None))
    tasks = CloudTasks(
        location="projects/p/locations/l", service_account=ACCOUNT, audience=AUDIENCE, emulator_host=None
    )

    for _ in range(2):
        with pytest.raises(TasksUnavailable):
            await tasks.create(TASK)
    answered.set()


@pytest.mark.slow
async def test_the_stand_in_delivers_what_we_post(emulator: CloudTasksEmulator, project_id: str) -> None:
    """Once, however often it is posted."""
    emulator.attach(project_id, LocalIssuer.new(), [])
    with emulator.client() as client, receiving() as receiver:
        parent = f"projects/{project_id}/locations/{LOCATION}"
        client.create_queue(parent=parent, queue={"name": f"{parent}/queues/work"})
        posted = Task(task_id="one", queue="work", url=receiver.url, body=b"{}", deadline_s=15, at_ms=None)
        queues = cloud_tasks(emulator.address, project_id)
        assert [await queues.create(posted) for _ in range(3)] == [True, False, False]
        [delivery] = receiver.wait_for(1)

    assert (delivery.body, delivery.headers["x-cloudtasks-taskname"]) == (b"{}", "one")
    assert delivery.headers["authorization"].startswith("Bearer ")
