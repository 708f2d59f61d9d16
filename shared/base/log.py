"""One JSON object per line on standard output, in the field names Cloud Logging reads. Ids and amounts only."""

import json
import sys
from contextvars import ContextVar
from typing import Literal

Severity = Literal["INFO", "WARNING", "ERROR", "CRITICAL"]
Value = str | int | float | bool | None

_ENCODER = json.JSONEncoder(separators=(",", ":"))

request_fields: ContextVar[dict[str, Value] | None] = ContextVar("request_fields", default=None)
"""Fields of the request being served (request id, trace), added to every line written while it runs."""


def add_request_fields(**fields: Value) -> None:
    """Have these written too, from here on, with every line of the request being served."""
    request_fields.set({**(request_fields.get() or {}), **fields})


def write_line(severity: Severity, message: str, **fields: Value) -> None:
    """Write one structured line. Callers pass ids and amounts, never prompts, keys, tokens or headers."""
    line = {"severity": severity, "message": message, **(request_fields.get() or {}), **fields}
    sys.stdout.write(_ENCODER.encode(line) + "\n")
    sys.stdout.flush()
