"""The stand-in for Cloud Tasks, asked by Google's own client library."""

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import google.auth.jwt
import pytest
from google.api_core import exceptions
from google.cloud import tasks_v2
from google.protobuf import duration_pb2

from local.cloud_tasks.dispatch import Dispatcher, Faults
from local.cloud_tasks.emulator import CloudTasksEmulator, location_of, start_cloud_tasks
from local.cloud_tasks.queue import QueueState, Waiting, backoff_s, gives_up, with_defaults
from local.oidc import LocalIssuer
from tests.tasks.receiver import Receiver, receiving, wait_until

pytestmark = pytest.mark.slow

ISSUER = LocalIssuer.new()
ACCOUNT = "tasks@example.iam.gserviceaccount.com"
DEADLINE_S = 0.2
SLOW_S = 10.0
"""A handler so slow is still at work when the test is over, however busy the machine."""
ATTEMPTS_ENOUGH = 10_000
"""More than are made until a handler is stopped."""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudTasksEmulator]:
    started = start_cloud_tasks(Path(tmp_path_factory.mktemp("tasks")))
    with started.service:
        yield started


@pytest.fixture
def client(emulator: CloudTasksEmulator) -> Iterator[tasks_v2.CloudTasksClient]:
    with emulator.client() as client:
        yield client


@pytest.fixture
def parent(emulator: CloudTasksEmulator, client: tasks_v2.CloudTasksClient, project_id: str) -> str:
    """A queue that tries again at once."""
    emulator.attach(project_id, ISSUER, [])
    return new_queue(client, project_id).name


def new_queue(client: tasks_v2.CloudTasksClient, project_id: str, **settings: Any) -> tasks_v2.Queue:
    retry = {"min_backoff": {"nanos": 10**7}, "max_backoff": {"nanos": 10**7}, **settings.pop("retry", {})}
    name = f"{location_of(project_id)}/queues/{settings.pop('name', 'work')}"
    queue = tasks_v2.Queue(name=name, retry_config=retry, rate_limits=settings.pop("rate", {}))
    return client.create_queue(parent=location_of(project_id), queue=queue)


def new_task(receiver: Receiver, name: str = "", **fields: Any) -> tasks_v2.Task:
    request = {"url": receiver.url + "run", "body": b'{"n":1}', "headers": {"content-type": "application/json"}}
    request["oidc_token"] = {"service_account_email": ACCOUNT, "audience": "https://run.example"}
    return tasks_v2.Task(name=name, http_request=request, **fields)


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def test_a_task_arrives_as_cloud_tasks_sends_it(client: tasks_v2.CloudTasksClient, parent: str) -> None:
    """Its body and headers, the queue's own headers, and a token of its account for its audience."""
    with receiving() as receiver:
        created = client.create_task(parent=parent, task=new_task(receiver, f"{parent}/tasks/one"))
        [delivery] = receiver.wait_for(1)

    assert created.name == f"{parent}/tasks/one"
    assert (delivery.path, delivery.body) == ("/run", b'{"n":1}')
    assert delivery.headers["content-type"] == "application/json"
    assert delivery.headers["user-agent"] == "Google-Cloud-Tasks"
    assert delivery.headers["x-cloudtasks-queuename"] == "work"
    assert delivery.headers["x-cloudtasks-taskname"] == "one"
    assert delivery.headers["x-cloudtasks-taskretrycount"] == "0"
    assert delivery.headers["x-cloudtasks-taskexecutioncount"] == "0"
    assert float(delivery.headers["x-cloudtasks-tasketa"]) == pytest.approx(time.time(), abs=20)
    token = delivery.headers["authorization"].removeprefix("Bearer ")
    claims = google.auth.jwt.decode(token, certs=json.loads(ISSUER.certificates()), audience="https://run.example")
    assert (claims["email"], claims["email_verified"]) == (ACCOUNT, True)


def test_a_failed_task_comes_again_until_a_2xx(client: tasks_v2.CloudTasksClient, parent: str) -> None:
    """The counts tell all failures, and those that were answered without a 5xx."""
    with receiving(500, 404, 503) as receiver:
        client.create_task(parent=parent, task=new_task(receiver))
        deliveries = receiver.wait_for(4)
        wait_until(lambda: not list(client.list_tasks(parent=parent)))

    assert len({delivery.headers["x-cloudtasks-taskname"] for delivery in deliveries}) == 1
    counts = [
        (delivery.headers["x-cloudtasks-taskretrycount"], delivery.headers["x-cloudtasks-taskexecutioncount"])
        for delivery in deliveries
    ]
    assert counts == [("0", "0"), ("1", "0"), ("2", "1"), ("3", "1")]
    assert [delivery.headers.get("x-cloudtasks-taskpreviousresponse") for delivery in deliveries] == [
        None,
        "500",
        "404",
        "503",
    ]


def test_a_name_is_one_task_also_after_it_is_done(client: tasks_v2.CloudTasksClient, parent: str) -> None:
    with receiving() as receiver:
        task = new_task(receiver, f"{parent}/tasks/once", schedule_time=soon(0.3))
        client.create_task(parent=parent, task=task)
        with pytest.raises(exceptions.AlreadyExists):
            client.create_task(parent=parent, task=task)
        receiver.wait_for(1)
        wait_until(lambda: not list(client.list_tasks(parent=parent)))
        with pytest.raises(exceptions.AlreadyExists):
            client.create_task(parent=parent, task=task)

    assert len(receiver.received) == 1


def test_a_task_comes_no_sooner_than_its_schedule(client: tasks_v2.CloudTasksClient, parent: str) -> None:
    with receiving() as receiver:
        at = soon(0.4)
        client.create_task(parent=parent, task=new_task(receiver, schedule_time=at))
        [delivery] = receiver.wait_for(1)

    assert delivery.at_s >= at.timestamp()


def test_a_deleted_task_does_not_come(client: tasks_v2.CloudTasksClient, parent: str) -> None:
    """And its name stays taken."""
    with receiving() as receiver:
        task = new_task(receiver, f"{parent}/tasks/gone", schedule_time=soon(0.2))
        client.create_task(parent=parent, task=task)
        client.delete_task(name=task.name)
        with pytest.raises(exceptions.NotFound):
            client.get_task(name=task.name)
        with pytest.raises(exceptions.AlreadyExists):
            client.create_task(parent=parent, task=task)
        client.create_task(parent=parent, task=new_task(receiver, schedule_time=soon(0.5)))
        receiver.wait_for(1)

    assert len(receiver.received) == 1


def test_a_paused_queue_keeps_its_tasks(client: tasks_v2.CloudTasksClient, parent: str) -> None:
    """Unless one is run by hand."""
    with receiving() as receiver:
        assert client.pause_queue(name=parent).state == tasks_v2.Queue.State.PAUSED
        for name in ("a", "b"):
            client.create_task(parent=parent, task=new_task(receiver, f"{parent}/tasks/{name}"))
        client.run_task(name=f"{parent}/tasks/b")
        receiver.wait_for(1)
        wait_until(lambda: [task.name for task in client.list_tasks(parent=parent)] == [f"{parent}/tasks/a"])
        assert client.resume_queue(name=parent).state == tasks_v2.Queue.State.RUNNING
        deliveries = receiver.wait_for(2)

    assert [delivery.headers["x-cloudtasks-taskname"] for delivery in deliveries] == ["b", "a"]


def test_a_queue_delivers_no_more_at_once_than_it_may(client: tasks_v2.CloudTasksClient, project_id: str) -> None:
    queue = new_queue(client, project_id, rate={"max_concurrent_dispatches": 2})
    with receiving(pause_s=0.1) as receiver:
        for _ in range(6):
            client.create_task(parent=queue.name, task=new_task(receiver))
        receiver.wait_for(6)

    assert receiver.at_once_max == 2


def test_a_queue_delivers_no_faster_than_it_may(client: tasks_v2.CloudTasksClient, project_id: str) -> None:
    queue = new_queue(client, project_id, rate={"max_dispatches_per_second": 10})
    with receiving() as receiver:
        for _ in range(5):
            client.create_task(parent=queue.name, task=new_task(receiver))
        deliveries = receiver.wait_for(5)

    assert deliveries[-1].at_s - deliveries[0].at_s >= 0.35


def test_a_task_is_given_up_after_its_last_attempt(client: tasks_v2.CloudTasksClient, project_id: str) -> None:
    queue = new_queue(client, project_id, retry={"max_attempts": 3})
    with receiving(*[500] * 9) as receiver:
        client.create_task(parent=queue.name, task=new_task(receiver))
        wait_until(lambda: not list(client.list_tasks(parent=queue.name)))

    assert len(receiver.received) == 3


def test_a_handler_that_is_not_there_is_tried_again(client: tasks_v2.CloudTasksClient, parent: str) -> None:
    """As when a gateway is restarted: the task waits, and its attempts are counted."""
    with receiving() as receiver:
        pass
    task = client.create_task(parent=parent, task=new_task(receiver))
    wait_until(lambda: client.get_task(name=task.name).dispatch_count >= 2)

    seen = client.get_task(name=task.name)
    client.delete_task(name=task.name)
    assert seen.response_count == 0


def test_a_task_outlives_its_handler_and_comes_once_to_the_next(
    client: tasks_v2.CloudTasksClient, project_id: str
) -> None:
    """The handler fails, is gone for some attempts, and is started again at the same address."""
    queue = new_queue(client, project_id, retry={"max_attempts": -1})
    with receiving(*[500] * ATTEMPTS_ENOUGH) as first:
        task = client.create_task(parent=queue.name, task=new_task(first))
        first.wait_for(1)
    wait_until(lambda: client.get_task(name=task.name).dispatch_count > len(first.received))

    with receiving(port=first.port) as second:
        second.wait_for(1)
        wait_until(lambda: not list(client.list_tasks(parent=queue.name)))

    [delivery] = second.received
    assert delivery.body == first.received[0].body
    assert int(delivery.headers["x-cloudtasks-taskretrycount"]) > len(first.received)


async def test_a_handler_that_is_slower_than_the_deadline_is_given_up_and_tried_again() -> None:
    """The API takes no deadline below fifteen seconds, so the dispatcher has this task from elsewhere."""
    soon_again = {"min_backoff": {"nanos": 10**7}, "max_backoff": {"nanos": 10**7}}
    queue = tasks_v2.Queue(name="projects/here/locations/there/queues/work", retry_config=soon_again)
    with receiving(pause_s=SLOW_S) as receiver:
        task = new_task(receiver, f"{queue.name}/tasks/slow", dispatch_deadline=timedelta(seconds=DEADLINE_S))
        task.http_request.http_method = tasks_v2.HttpMethod.POST
        state = QueueState(with_defaults(queue), {task.name: Waiting(task, due_at_s=time.time())})
        async with aiohttp.ClientSession() as session:
            dispatcher = Dispatcher(state, session, lambda: ISSUER, Faults())
            first, second = (await asyncio.to_thread(receiver.wait_for, 2))[:2]
            await dispatcher.stop()

    # The first was still at work: nobody waited for it.
    assert receiver.at_once_max > 1
    assert second.at_s - first.at_s >= DEADLINE_S
    # A failure that nobody answered.
    assert second.headers["x-cloudtasks-taskretrycount"] == "1"
    assert second.headers["x-cloudtasks-taskexecutioncount"] == "0"
    assert "x-cloudtasks-taskpreviousresponse" not in second.headers


def test_faults_are_made_on_purpose(
    emulator: CloudTasksEmulator, client: tasks_v2.CloudTasksClient, parent: str, project_id: str
) -> None:
    """A delivery made twice, one whose answer is lost, one that is late; and then none any more."""
    emulator.misbehave(project_id, duplicates=1)
    with receiving() as receiver:
        client.create_task(parent=parent, task=new_task(receiver, f"{parent}/tasks/twice"))
        receiver.wait_for(2)
        wait_until(lambda: not list(client.list_tasks(parent=parent)))
        emulator.misbehave(project_id, lost_answers=1, delays=1, delay_s=0.3)
        started_at_s = time.time()
        client.create_task(parent=parent, task=new_task(receiver, f"{parent}/tasks/lost"))
        deliveries = receiver.wait_for(4)[2:]
        wait_until(lambda: not list(client.list_tasks(parent=parent)))

    assert deliveries[0].at_s - started_at_s >= 0.3
    assert [delivery.headers["x-cloudtasks-taskretrycount"] for delivery in deliveries] == ["0", "1"]
    assert len(receiver.received) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"name": "tasks/elsewhere"},
        {"schedule_time": datetime.now(UTC) + timedelta(days=31)},
        {"dispatch_deadline": duration_pb2.Duration(seconds=10)},
        {"dispatch_deadline": duration_pb2.Duration(seconds=1801)},
        {"http_request": {"url": "ftp://somewhere"}},
        {"http_request": {"url": "http://127.0.0.1/", "body": b"x" * 102_400}},
    ],
    ids=["name", "schedule", "short", "long", "url", "size"],
)
def test_what_cloud_tasks_refuses_is_refused(
    client: tasks_v2.CloudTasksClient, parent: str, change: dict[str, Any]
) -> None:
    task = tasks_v2.Task({"http_request": {"url": "http://127.0.0.1/"}, **change})
    with pytest.raises(exceptions.InvalidArgument):
        client.create_task(parent=parent, task=task)


def test_an_unknown_queue_takes_no_task(client: tasks_v2.CloudTasksClient, project_id: str) -> None:
    task = tasks_v2.Task(http_request={"url": "http://127.0.0.1/"})
    with pytest.raises(exceptions.NotFound):
        client.create_task(parent=f"{location_of(project_id)}/queues/none", task=task)


def test_a_queue_is_answered_with_what_it_left_open(client: tasks_v2.CloudTasksClient, project_id: str) -> None:
    queue = new_queue(client, project_id, name="plain")

    assert client.get_queue(name=queue.name) == queue
    assert (queue.retry_config.max_attempts, queue.retry_config.max_doublings) == (100, 16)
    assert queue.rate_limits.max_dispatches_per_second == 500
    with pytest.raises(exceptions.AlreadyExists):
        new_queue(client, project_id, name="plain")


def test_a_listing_has_pages(client: tasks_v2.CloudTasksClient, parent: str) -> None:
    with receiving() as receiver:
        for number in range(5):
            task = new_task(receiver, f"{parent}/tasks/{number}", schedule_time=soon(600))
            client.create_task(parent=parent, task=task)
        pages = client.list_tasks(request={"parent": parent, "page_size": 2}).pages

        assert [len(page.tasks) for page in pages] == [2, 2, 1]


def test_pauses_double_then_grow_then_stay() -> None:
    """Google's own example."""
    retry = tasks_v2.RetryConfig(min_backoff={"seconds": 10}, max_backoff={"seconds": 300}, max_doublings=3)

    assert [backoff_s(retry, retries) for retries in range(1, 9)] == [10, 20, 40, 80, 160, 240, 300, 300]


def test_a_task_is_given_up_when_attempts_and_time_are_over() -> None:
    """Either alone does not end it."""
    retry = tasks_v2.RetryConfig(max_attempts=2, max_retry_duration={"seconds": 60})
    waiting = Waiting(tasks_v2.Task(), due_at_s=0, first_attempt_at_s=100)

    waiting.retries = 1
    assert not gives_up(retry, waiting, 200)
    waiting.retries = 2
    assert not gives_up(retry, waiting, 159)
    assert gives_up(retry, waiting, 160)
    assert not gives_up(tasks_v2.RetryConfig(max_attempts=-1), waiting, 10**9)
