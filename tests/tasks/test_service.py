"""Posting tasks: what a queue is asked for, and what is refused before it is asked."""

import pytest

from shared.tasks.rules import AHEAD_MS_MAX, TASK_BYTES_MAX, task_id, url_of
from shared.tasks.service import Tasks
from shared.tasks.targets import Target
from tests.tasks.memory import MemoryQueues

NOW_MS = 1_000_000
TARGETS = {"job_step": Target("jobs", deadline_s=60)}


def tasks_over(queues: MemoryQueues) -> Tasks:
    return Tasks(queues, "https://{service}.example/{function}", lambda: NOW_MS, TARGETS)


async def test_a_task_says_where_when_and_what() -> None:
    queues = MemoryQueues()
    await tasks_over(queues).post("job_step", {"job_id": "j1"}, name_key="j1:3", at_ms=NOW_MS + 5)

    [task] = queues.tasks.values()
    assert (task.queue, task.url, task.deadline_s) == ("jobs", "https://job-step.example/job_step", 60)
    assert (task.body, task.at_ms) == (b'{"job_id":"j1"}', NOW_MS + 5)


async def test_what_is_posted_twice_is_one_task() -> None:
    """By its function and key, whatever it says besides; another key, or another function, is another task."""
    queues = MemoryQueues()
    for number in range(2):
        await tasks_over(queues).post("job_step", {"number": number}, name_key="a")
    await tasks_over(queues).post("job_step", {}, name_key="b")

    assert len(queues.tasks) == 2
    assert task_id("f", "k") != task_id("g", "k")


async def test_names_do_not_begin_alike() -> None:
    """A queue's names are spread over its servers by how they begin."""
    names = {task_id("job_step", f"job-1:{number}")[:4] for number in range(50)}

    assert len(names) > 45


@pytest.mark.parametrize("at_ms", [NOW_MS + AHEAD_MS_MAX + 1])
async def test_what_is_too_far_ahead_is_a_defect(at_ms: int) -> None:
    with pytest.raises(ValueError, match="30 days"):
        await tasks_over(MemoryQueues()).post("job_step", {}, name_key="a", at_ms=at_ms)


async def test_what_no_task_can_hold_is_a_defect() -> None:
    with pytest.raises(ValueError, match="bytes"):
        await tasks_over(MemoryQueues()).post("job_step", {"text": "x" * TASK_BYTES_MAX}, name_key="a")


def test_a_service_has_hyphens_where_its_function_has_none() -> None:
    assert url_of("https://{service}-1.run.app", "job_step") == "https://job-step-1.run.app"
    assert url_of("http://127.0.0.1:1/_tasks/{function}", "job_step") == "http://127.0.0.1:1/_tasks/job_step"
