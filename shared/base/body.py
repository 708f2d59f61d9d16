"""Shapes of what crosses a boundary: bodies of requests and answers, and the types their fields share.

Structs of msgspec and not pydantic's models, which cost every cold start a tenth of its time: docs/decisions/0007.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from shared.base.ids import IDEMPOTENCY_KEY_CHARS_MAX
from shared.base.micros import AMOUNT_MICROS_MAX
from shared.base.secret import Secret

LAST = r"$(?!\n)"
"""The end of the text in a pattern. To Python `$` alone may stand before a last line break."""
_PLACE = re.compile(r" - at `(?:key in )?\$([^`]*)`$")
_NAMED = re.compile(r"Object (?:contains (unknown)|missing required) field `(.*)`", re.DOTALL)
_PATTERN = re.compile(r"Expected `str` matching regex .*", re.DOTALL)
_VALUE = re.compile(r"Invalid (?:enum )?value .*", re.DOTALL)


class Body(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A body of ours, asked or answered: exact types, no unknown fields."""


class Empty(Body, frozen=True):
    """A request that says nothing but who asks."""


class ForeignBody(Struct, frozen=True, kw_only=True):
    """A body in somebody else's format: the fields we read, and all `others` as they came, to be passed on."""

    others: dict[str, Any] = {}

    @classmethod
    def names(cls) -> frozenset[str]:
        """The fields we read."""
        return frozenset(cls.__struct_fields__) - {"others"}


class Upload(Struct, frozen=True):
    """A file of a form."""

    name: str
    """As the client called it; may be empty."""
    media_type: str
    content: bytes


class Raw(Struct, frozen=True):
    """A body as it came, for whoever checks a signature over it."""

    content: bytes
    headers: Mapping[str, str]
    """Names in lower case."""


IdempotencyKey = Annotated[
    str, Meta(min_length=1, max_length=IDEMPOTENCY_KEY_CHARS_MAX, pattern=rf"^[\x21-\x7e]+{LAST}")
]
AmountMicros = Annotated[int, Meta(gt=0, le=AMOUNT_MICROS_MAX)]
ShortText = Annotated[str, Meta(min_length=1, max_length=200)]
Shape = TypeVar("Shape", bound=Struct)


class Misshapen(Exception):
    """A value does not fit its shape. `place` names the field, parts joined by points; what it held is not repeated."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place
        self.reason = reason


def shape(model: type[Shape], value: Mapping[str, Any]) -> Shape:
    """The value as a `model`; nothing is coerced. Raise Misshapen for the first field that does not fit."""
    given = dict(value)
    if issubclass(model, ForeignBody):
        names = model.names()
        others = {name: field for name, field in given.items() if name not in names}
        given = {name: field for name, field in given.items() if name in names} | {"others": others}
    try:
        return msgspec.convert(given, model, dec_hook=_read_secret)
    except msgspec.ValidationError as error:
        raise _misshapen(str(error)) from None


def _read_secret(kind: type, value: object) -> Secret:
    if kind is not Secret or not isinstance(value, str):
        raise TypeError(f"Expected {kind.__name__}")
    return Secret(value)


def _misshapen(message: str) -> Misshapen:
    """Msgspec says what is wrong, then where: `Expected ... - at `$.lines[1].text``; a name stands in the text."""
    place = _PLACE.search(message)
    path = re.sub(r"\[(\d+)\]", r".\1", place[1]) if place else ""
    reason = message[: place.start()] if place else message
    if named := _NAMED.fullmatch(reason):
        path += "." + named[2]
        reason = "There is no such field." if named[1] else "This field is required."
    reason = _VALUE.sub("Not one of the values that are allowed.", reason)
    # The pattern itself stands in the OpenAPI document, without what Python needs besides.
    reason = _PATTERN.sub("This is not of the form that the OpenAPI document gives.", reason)
    return Misshapen(path.removeprefix("."), reason.replace("`", ""))
