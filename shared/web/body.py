"""Reading what a request says: bounded bytes, strict JSON, checked fields, and a clear word on what is wrong."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request

from shared.base.body import Misshapen, Shape, shape
from shared.base.errors import BadRequest
from shared.web.errors import BodyTooLarge

BODY_BYTES_MAX = 64 * 1024
"""For our own endpoints; none takes more than a few hundred bytes."""
VALUES_MAX = 200_000
"""Commas and brackets, those in texts too: a million tokens of prose have a quarter of that. Twenty megabytes of
nothing else would keep a process busy for seconds."""
NESTING_MAX = 100
"""Lists and objects inside of each other. Python's own limit would strike somewhere later, as a defect of ours."""


async def read_body(
    request: Request, model: type[Shape], *, bytes_max: int, parameters: Mapping[str, str] = MappingProxyType({})
) -> Shape:
    """The request's JSON, with the path's parameters, as a `model`. Raise BodyTooLarge or BadRequest.

    An empty body counts as `{}`.
    """
    raw = await read_bytes(request, bytes_max=bytes_max)
    if raw.count(b",") + raw.count(b"[") + raw.count(b"{") > VALUES_MAX:
        raise BadRequest(f"The body has more than {VALUES_MAX} values.")
    try:
        value = msgspec.json.decode(raw) if raw else {}
    except ValueError as error:
        raise BadRequest(f"The body is not valid JSON: {error}.") from None
    except RecursionError:
        raise _too_deep() from None
    if not isinstance(value, dict):
        raise BadRequest("The body must be a JSON object.")
    _require_shallow(value)
    for name in parameters.keys() & value.keys():
        raise BadRequest(f"{name} belongs in the path.", param=name)
    return parse(model, {**value, **parameters})


def parse(model: type[Shape], value: Mapping[str, Any]) -> Shape:
    """The value as a `model`. Raise BadRequest that names the first field at fault, and never repeats what it held."""
    try:
        return shape(model, value)
    except Misshapen as fault:
        param = fault.place[:200]
        raise BadRequest(f"{param or 'body'}: {fault.reason}", param=param or None) from None


def _require_shallow(value: object) -> None:
    level = [value]
    for _ in range(NESTING_MAX):
        level = [child for item in level for child in _children(item)]
        if not level:
            return
    raise _too_deep()


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _too_deep() -> BadRequest:
    return BadRequest(f"The body is not valid JSON: it is nested more than {NESTING_MAX} deep.")


async def read_bytes(request: Request, *, bytes_max: int) -> bytes:
    """The request's body as it came. Raise BodyTooLarge, or BadRequest when it breaks off."""
    stated = request.headers.get("content-length", "").lstrip("0")
    # Python converts no more than some thousand digits, and a length of more than 18 is too large anyway.
    if stated.isdecimal() and (len(stated) > 18 or int(stated) > bytes_max):
        raise BodyTooLarge(bytes_max=bytes_max)
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > bytes_max:
                raise BodyTooLarge(bytes_max=bytes_max)
    except ClientDisconnect:
        raise BadRequest("The request ended before its body did.") from None
    return bytes(body)
