"""Reads a form with files (multipart/form-data, RFC 7578): bounded in every direction, and refused when it is odd.

Our own and not a package's: what clients send is a handful of fields and one file, which is held whole anyway, because
it may have to be sent to more than one provider.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request

from shared.base.body import Shape
from shared.base.errors import BadRequest
from shared.web.body import parse, read_bytes

PARTS_MAX = 24
HEAD_BYTES_MAX = 2_048
FIELD_BYTES_MAX = 1_000
"""Of a field that is no file. What is longer could cost a provider more than the file."""
_BOUNDARY = re.compile(r"""multipart/form-data\s*;.*?\bboundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))""", re.I | re.S)
_DISPOSITION = re.compile(r"^content-disposition:[ \t]*form-data[ \t]*;(.*)$", re.I | re.M)
_TYPE = re.compile(r"^content-type:[ \t]*([\x21-\x7e]{1,200})", re.I | re.M)
_PARAMETER = re.compile(r'(?:^|;)[ \t]*(name|filename)="([^"\r\n]{0,255})"', re.I)


async def read_form(request: Request, model: type[Shape], *, bytes_max: int) -> Shape:
    """The request's form as a `model`, in which a file is an Upload and a name that ends in `[]` is a list.

    Raise BodyTooLarge or BadRequest.
    """
    stated = _BOUNDARY.match(request.headers.get("content-type", ""))
    if stated is None:
        raise BadRequest("The body must be a form: multipart/form-data with a boundary.")
    raw = await read_bytes(request, bytes_max=bytes_max)
    return parse(model, parse_form(raw, (stated[1] or stated[2]).encode("latin-1")))


def parse_form(raw: bytes, boundary: bytes) -> dict[str, Any]:
    """The fields of a form. Raise BadRequest for one that does not end, or has too many or too long parts."""
    delimiter = b"\r\n--" + boundary
    if not raw.startswith(delimiter[2:]):
        raise _broken()
    fields: dict[str, Any] = {}
    place = len(delimiter) - 2
    for _ in range(PARTS_MAX + 1):
        if raw.startswith(b"--", place):
            return fields
        head_end = raw.find(b"\r\n\r\n", place, place + HEAD_BYTES_MAX)
        end = raw.find(delimiter, head_end + 4)
        if not raw.startswith(b"\r\n", place) or head_end < 0 or end < 0:
            raise _broken()
        _add(fields, raw[place:head_end], raw[head_end + 4 : end])
        place = end + len(delimiter)
    raise BadRequest(f"The form has more than {PARTS_MAX} parts.")


def form_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a form that was sent as JSON: a file is an object with its content in base64, and all else text as
    a form has it. Raise BadRequest for too many or too long ones.
    """
    if len(body) > PARTS_MAX:
        raise BadRequest(f"The form has more than {PARTS_MAX} parts.")
    return {name: _as_sent(name, value) for name, value in body.items()}


def _as_sent(name: str, value: object) -> Any:
    if isinstance(value, dict):
        return value
    if isinstance(value, list) and name.endswith("[]"):
        if len(value) > PARTS_MAX:
            raise BadRequest(f"The form has more than {PARTS_MAX} parts.", param=name)
        return [_as_sent(name, part) for part in value]
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if len(text.encode()) > FIELD_BYTES_MAX:
        raise BadRequest(f"A field has at most {FIELD_BYTES_MAX} bytes.", param=name)
    return text


def _add(fields: dict[str, Any], head: bytes, content: bytes) -> None:
    try:
        lines = head.decode().replace("\r\n", "\n")
        disposition = _DISPOSITION.search(lines)
        named = {key.lower(): value for key, value in _PARAMETER.findall(disposition[1] if disposition else "")}
        value: Any = None if "filename" in named else content.decode()
    except UnicodeDecodeError:
        raise BadRequest("The form's names and fields are UTF-8.") from None
    name = named.get("name")
    if not name:
        raise _broken()
    if value is None:
        media_type = _TYPE.search(lines)
        stated = media_type[1].partition(";")[0] if media_type else "application/octet-stream"
        value = {"name": named["filename"], "media_type": stated, "content": content}
    elif len(content) > FIELD_BYTES_MAX:
        raise BadRequest(f"A field has at most {FIELD_BYTES_MAX} bytes.", param=name)
    if name.endswith("[]"):
        fields.setdefault(name, []).append(value)
    elif name in fields:
        raise BadRequest("This field is given twice.", param=name)
    else:
        fields[name] = value


def _broken() -> BadRequest:
    return BadRequest("The body is no form, or does not end as one.")
