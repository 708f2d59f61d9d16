"""Answers of functions that may not be able to tell the end yet."""

from collections.abc import Mapping

import msgspec
from msgspec import Struct
from starlette.responses import Response


def answer_or_pending(answer: Struct, *, is_pending: bool, headers: Mapping[str, str] | None = None) -> Response:
    """A 200, or a 202 for what is accepted and not decided."""
    return Response(
        msgspec.json.encode(answer),
        status_code=202 if is_pending else 200,
        media_type="application/json",
        headers={"cache-control": "no-store", **(headers or {})},
    )
