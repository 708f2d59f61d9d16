"""infra/functions.yaml as typed rows, for the local gateway and for the checks that nothing is listed twice."""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from msgspec import Meta

from local.node import REPOSITORY
from shared.base.body import LAST, Body, shape

MANIFEST = REPOSITORY / "infra" / "functions.yaml"
TIMER_PATH = "/_timers"
"""Where the local gateway takes what Cloud Scheduler would post to a deployed function."""
EVENT_PATH = "/_events"
"""Where it takes what Eventarc would post."""


class Trigger(Body, frozen=True, kw_only=True):
    """What starts a function: exactly one of these."""

    http: Annotated[str, Meta(pattern=rf"^(GET|POST) /\S*{LAST}")] | None = None
    schedule: str | None = None
    event: Annotated[str, Meta(pattern=rf"^google\.cloud\.firestore\.document\.v1\.created \S+{LAST}")] | None = None
    """The event's type, and the path of the documents it tells of."""


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
        """The HTTP method it answers; schedules and events are posted."""
        return self.trigger.http.partition(" ")[0] if self.trigger.http else "POST"

    @property
    def path(self) -> str:
        """Where the local gateway serves it."""
        if self.trigger.http:
            return self.trigger.http.partition(" ")[2]
        return f"{EVENT_PATH if self.trigger.event else TIMER_PATH}/{self.name}"


def read_manifest(path: Path = MANIFEST) -> list[FunctionRow]:
    """Every row. Raise Misshapen for a malformed one."""
    return [shape(FunctionRow, row) for row in yaml.safe_load(path.read_text(encoding="utf-8"))]
