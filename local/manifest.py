"""infra/functions.yaml and infra/queues.yaml as typed rows, for the local gateway and for the checks that nothing is
listed twice.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from msgspec import Meta

from local.node import REPOSITORY
from shared.base.body import LAST, Body, shape

MANIFEST = REPOSITORY / "infra" / "functions.yaml"
QUEUES = REPOSITORY / "infra" / "queues.yaml"
TIMER_PATH = "/_timers"
"""Where the local gateway takes what Cloud Scheduler would post to a deployed function."""
EVENT_PATH = "/_events"
"""Where it takes what Eventarc would post."""
TASK_PATH = "/_tasks"
"""Where it takes what Cloud Tasks would post."""


class Trigger(Body, frozen=True, kw_only=True):
    """What starts a function: exactly one of these."""

    http: Annotated[str, Meta(pattern=rf"^(GET|POST) /\S*{LAST}")] | None = None
    schedule: str | None = None
    event: Annotated[str, Meta(pattern=rf"^google\.cloud\.firestore\.document\.v1\.created \S+{LAST}")] | None = None
    """The event's type, and the path of the documents it tells of."""
    task: str | None = None
    """The queue whose tasks it takes: a row of infra/queues.yaml."""

    @property
    def folder(self) -> str:
        """Where the local gateway serves what has no route."""
        if self.task is not None:
            return TASK_PATH
        return EVENT_PATH if self.event is not None else TIMER_PATH


class FunctionRow(Body, frozen=True, kw_only=True):
    """One deployed function."""

    name: str
    trigger: Trigger
    auth: Literal["user", "spender", "card", "service", "none"]
    memory_mb: int
    timeout_s: int
    concurrency: int
    secrets: tuple[str, ...]
    service_account: str

    @property
    def method(self) -> str:
        """The HTTP method it answers; schedules, events and tasks are posted."""
        return self.trigger.http.partition(" ")[0] if self.trigger.http else "POST"

    @property
    def path(self) -> str:
        """Where the local gateway serves it."""
        if self.trigger.http:
            return self.trigger.http.partition(" ")[2]
        return f"{self.trigger.folder}/{self.name}"


class QueueRow(Body, frozen=True, kw_only=True):
    """One Cloud Tasks queue: how fast it delivers, and how long it tries."""

    name: Annotated[str, Meta(pattern=rf"^[a-z][a-z0-9-]{{0,61}}{LAST}")]
    dispatches_per_s_max: Annotated[float, Meta(gt=0, le=500)]
    dispatches_at_once_max: Annotated[int, Meta(gt=0, le=5_000)]
    attempts_max: Annotated[int, Meta(gt=0)]
    retry_s_max: Annotated[int, Meta(gt=0)]
    """A task is given up after as many attempts, and no sooner than so long after the first."""
    backoff_s_min: Annotated[float, Meta(gt=0)]
    backoff_s_max: Annotated[float, Meta(gt=0)]
    doublings_max: Annotated[int, Meta(ge=0, le=16)]


def read_manifest(path: Path = MANIFEST) -> list[FunctionRow]:
    """Every row. Raise Misshapen for a malformed one."""
    return [shape(FunctionRow, row) for row in _read(path)]


def read_queues(path: Path = QUEUES) -> list[QueueRow]:
    """Every queue. Raise Misshapen for a malformed one."""
    return [shape(QueueRow, row) for row in _read(path)]


def _read(path: Path) -> Any:
    # Every gateway reads the manifest before it listens: a third of a second in Python, a thirtieth in C.
    loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - either loader is a safe one
