"""Work that is done later, by a function of its own, at least once."""

from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct

from shared.base.clock import Clock
from shared.base.log import write_line
from shared.tasks import rules
from shared.tasks.targets import TARGETS, Target


class Task(Struct, frozen=True, kw_only=True):
    """What a queue is asked to deliver."""

    task_id: str
    queue: str
    url: str
    body: bytes
    deadline_s: int
    at_ms: int | None
    """Not before; None for at once."""


class Queues(Protocol):
    """Where tasks wait."""

    async def create(self, task: Task) -> bool:
        """Keep a task until its function has answered with a 2xx. True when it is new, false when one of its name is
        there or was not long ago. Returned means durable. Raise TasksUnavailable when neither could be told in time.
        """


class Tasks:
    """Posts tasks. One per process and event loop."""

    def __init__(
        self, queues: Queues, url_template: str, clock: Clock, targets: Mapping[str, Target] = TARGETS
    ) -> None:
        """`url_template` has `{function}` or `{service}` where the function's name belongs."""
        self._queues = queues
        self._url_template = url_template
        self._clock = clock
        self._targets = targets

    async def post(self, function_name: str, payload: Any, *, name_key: str, at_ms: int | None = None) -> None:
        """Have the function called with the payload, a struct or a mapping, as its JSON body, at `at_ms` or now.

        Returned means that it will be, at least once. However often it is posted under one `name_key`, it is one
        task: for as long as it waits, and for about an hour after it is done (Google says up to a day, and nine days
        in some queues). So a key names one piece of work for good, and doing it anew takes a new key. Raise
        TasksUnavailable; the task may exist then, and posting it again is harmless.
        """
        target = self._targets[function_name]
        rules.check_schedule(at_ms, now_ms=self._clock())
        task = Task(
            task_id=rules.task_id(function_name, name_key),
            queue=target.queue,
            url=rules.url_of(self._url_template, function_name),
            body=rules.body_of(payload),
            deadline_s=target.deadline_s,
            at_ms=at_ms,
        )
        is_new = await self._queues.create(task)
        write_line("INFO", "task_posted", target=function_name, task=task.task_id, new=is_new)
