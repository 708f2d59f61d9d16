"""Reading a CloudEvent from a request, in either mode of its HTTP binding (CloudEvents 1.0, "HTTP Protocol Binding").

Our own few lines, because the `cloudevents` package answers a malformed event with whatever Python happened to raise.
"""

from typing import Annotated, Literal
from urllib.parse import unquote

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request

from shared.base.errors import BadRequest
from shared.web.body import parse, read_bytes

STRUCTURED = "application/cloudevents+json"
EVENT_BYTES_MAX = 2 * 1024 * 1024
"""A document has at most 1 MiB, and in base64 a third more."""
Attribute = Annotated[str, Meta(min_length=1, max_length=2000)]


class CloudEvent(Struct, frozen=True, kw_only=True):
    """An event: the attributes that every one has, and its data. Others, which an event may add, are not read."""

    specversion: Literal["1.0"]
    id: Attribute
    source: Attribute
    type: Attribute
    data_base64: bytes = b""
    """The data itself: base64 is how JSON writes it, and is gone once read."""


async def read_cloudevent(request: Request) -> CloudEvent:
    """Raise BodyTooLarge or BadRequest."""
    body = await read_bytes(request, bytes_max=EVENT_BYTES_MAX)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == STRUCTURED:
        return parse(CloudEvent, _decode(body))
    attributes = {
        name.removeprefix("ce-"): unquote(value) for name, value in request.headers.items() if name.startswith("ce-")
    }
    return parse(CloudEvent, {**attributes, "data_base64": body})


def _decode(body: bytes) -> dict[str, object]:
    try:
        return msgspec.json.decode(body, type=dict[str, object])
    except (ValueError, RecursionError):
        raise BadRequest("The event is not a JSON object.") from None
