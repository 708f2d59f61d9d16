"""Reading what a request says: bounded bytes, strict JSON, checked fields, and a clear word on what is wrong."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json
from starlette.requests import ClientDisconnect, Request

from shared.base.errors import BadRequest
from shared.base.ids import IDEMPOTENCY_KEY_CHARS_MAX
from shared.base.micros import AMOUNT_MICROS_MAX
from shared.web.errors import BodyTooLarge

BODY_BYTES_MAX = 64 * 1024
"""For our own endpoints; none takes more than a few hundred bytes."""


class Body(BaseModel):
    """A body of ours, asked or answered: exact types, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Empty(Body):
    """A request that says nothing but who asks."""


IdempotencyKey = Annotated[str, Field(min_length=1, max_length=IDEMPOTENCY_KEY_CHARS_MAX, pattern=r"^[\x21-\x7e]+$")]
AmountMicros = Annotated[int, Field(gt=0, le=AMOUNT_MICROS_MAX)]
ShortText = Annotated[str, Field(min_length=1, max_length=200)]
Given = TypeVar("Given", bound=BaseModel)


async def read_body(request: Request, model: type[Given], *, bytes_max: int) -> Given:
    """The request's JSON as a `model`. Raise BodyTooLarge or BadRequest. An empty body counts as `{}`."""
    raw = await _read_bytes(request, bytes_max)
    try:
        value = from_json(raw, allow_inf_nan=False) if raw else {}
    except ValueError as error:
        raise BadRequest(f"The body is not valid JSON: {error}.") from None
    if not isinstance(value, dict):
        raise BadRequest("The body must be a JSON object.")
    return parse(model, value)


def parse(model: type[Given], value: Mapping[str, Any]) -> Given:
    """The value as a `model`. Raise BadRequest that names the first field at fault, and never repeats what it held."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
        param = ".".join(map(str, fault["loc"]))[:200]
        raise BadRequest(f"{param or 'body'}: {fault['msg']}", param=param or None) from None


async def _read_bytes(request: Request, bytes_max: int) -> bytes:
    stated = request.headers.get("content-length", "")
    if stated.isdigit() and int(stated) > bytes_max:
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
