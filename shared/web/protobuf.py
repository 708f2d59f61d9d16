"""Firestore's documents as events carry them: protocol buffers read into plain values."""

from datetime import UTC
from typing import Any

from google.cloud.firestore_v1.types import write
from google.protobuf.message import DecodeError
from msgspec import Struct

from shared.base.errors import BadRequest


class StoredDocument(Struct, frozen=True):
    """A document under its full name, `projects/.../documents/...`."""

    name: str
    fields: dict[str, Any]


def created_document(data: bytes) -> StoredDocument:
    """The document of `google.events.cloud.firestore.v1.DocumentEventData`, whose field 1 is the document as it is now.

    No package that we use has that type. `DocumentChange` has the same field 1, none of the numbers of the other two
    fields, and skips what it does not know. Raise BadRequest when the bytes hold no document.
    """
    try:
        document = write.DocumentChange.pb().FromString(data).document
    except DecodeError:
        raise BadRequest("The event's data is not a protocol buffer.") from None
    if not document.name:
        raise BadRequest("The event holds no document.")
    return StoredDocument(document.name, {name: _plain(value) for name, value in document.fields.items()})


def _plain(value: Any) -> Any:
    """A Firestore value in Python's own types."""
    kind = value.WhichOneof("value_type")
    match kind:
        case "map_value":
            return {name: _plain(part) for name, part in value.map_value.fields.items()}
        case "array_value":
            return [_plain(part) for part in value.array_value.values]
        case "timestamp_value":
            return value.timestamp_value.ToDatetime(UTC)
        case "geo_point_value":
            return (value.geo_point_value.latitude, value.geo_point_value.longitude)
        case None | "null_value":
            return None
        case _:
            return getattr(value, kind)
