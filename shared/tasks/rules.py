"""Pure decisions about tasks: their names, and what one may hold."""

import hashlib
from typing import Any

import msgspec

TASK_BYTES_MAX = 90_000
"""Cloud Tasks takes 100 KB with address, headers and token; what is larger belongs in a document."""
AHEAD_MS_MAX = 30 * 86_400_000
"""Cloud Tasks schedules no further ahead."""


def task_id(function: str, key: str) -> str:
    """The name that makes two posts one task. A hash, because names that begin alike make a queue slow."""
    return hashlib.sha256(f"{function}:{key}".encode()).hexdigest()


def body_of(payload: Any) -> bytes:
    """The payload as JSON. Raise ValueError, a defect of the caller, for more than a task can hold."""
    body = msgspec.json.encode(payload)
    if len(body) > TASK_BYTES_MAX:
        raise ValueError(f"a task holds at most {TASK_BYTES_MAX} bytes, not {len(body)}")
    return body


def url_of(template: str, function: str) -> str:
    """Where a function is called. Names of Cloud Run services have hyphens where those of functions have others."""
    return template.replace("{function}", function).replace("{service}", function.replace("_", "-"))


def check_schedule(at_ms: int | None, *, now_ms: int) -> None:
    """Raise ValueError, a defect of the caller, for a time further ahead than a queue keeps tasks."""
    if at_ms is not None and at_ms - now_ms > AHEAD_MS_MAX:
        raise ValueError("a task is scheduled at most 30 days ahead")
