"""infra/functions.yaml as typed rows, for the local gateway and for the checks that nothing is listed twice."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from local.node import REPOSITORY

MANIFEST = REPOSITORY / "infra" / "functions.yaml"
TIMER_PATH = "/_timers"
"""Where the local gateway takes what Cloud Scheduler would post to a deployed function."""


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Trigger(_Row):
    """What starts a function: exactly one of these."""

    http: str | None = Field(default=None, pattern=r"^(GET|POST) /\S*$")
    schedule: str | None = None


class FunctionRow(_Row):
    """One deployed function."""

    name: str
    trigger: Trigger
    auth: Literal["user", "service", "none"]
    memory_mb: int
    timeout_s: int
    concurrency: int
    secrets: tuple[str, ...]
    service_account: str

    @property
    def method(self) -> str:
        """The HTTP method it answers; a schedule posts."""
        return self.trigger.http.partition(" ")[0] if self.trigger.http else "POST"

    @property
    def path(self) -> str:
        """Where the local gateway serves it."""
        return self.trigger.http.partition(" ")[2] if self.trigger.http else f"{TIMER_PATH}/{self.name}"


def read_manifest(path: Path = MANIFEST) -> list[FunctionRow]:
    """Every row. Raise ValidationError for a malformed one."""
    return [FunctionRow.model_validate(row) for row in yaml.safe_load(path.read_text(encoding="utf-8"))]
