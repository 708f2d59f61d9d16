"""Firestore's commits as protocol buffers, straight from documents and over the client's own channel.

The client library builds and sends the same through many layers of wrappers, which took half of the processor time of
a metered call; this module writes and sends the plain messages below. The store's contract tests hold it to the same.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from google.cloud import firestore
from google.cloud.firestore_v1.types import firestore as messages
from google.cloud.firestore_v1.types import write

_COMMIT = "/google.firestore.v1.Firestore/Commit"
_REQUEST_TIME = 1
"""`ServerValue.REQUEST_TIME`: the server's clock when it received the commit."""

Fields = Mapping[str, Any]
UpdateTime = tuple[int, int]
"""When a document was last changed, in seconds and nanoseconds: a version of it."""


async def commit(client: firestore.AsyncClient, writes: Sequence[Any], *, timeout_s: float) -> list[UpdateTime]:
    """Make the writes, all or none, each as one function below has built it. Raise grpc.RpcError, and never retry."""
    asked, answered = messages.CommitRequest.pb(), messages.CommitResponse.pb()
    database = client._database_string
    call = client._firestore_api.transport.grpc_channel.unary_unary(
        _COMMIT, request_serializer=asked.SerializeToString, response_deserializer=answered.FromString
    )
    # The one interceptor writes debug logs, for who switches them on; to pass it takes two more tasks for each call.
    call._interceptors = None
    answer = await call(
        asked(database=database, writes=writes),
        timeout=timeout_s,
        metadata=(*client._rpc_metadata, ("x-goog-request-params", f"database={quote(database)}")),
    )
    return [update_time_of(result.update_time) for result in answer.write_results]


def update_time_of(timestamp: Any) -> UpdateTime:
    """The version that a `Timestamp` stands for."""
    return timestamp.seconds, timestamp.nanos


def create(name: str, fields: Fields, *, stamp: str) -> Any:
    """Write a document that must not exist yet; `stamp` names a field that gets the server's time."""
    message = _write(name, fields, stamp)
    message.current_document.exists = False
    return message


def replace(name: str, fields: Fields, *, stamp: str, expected: Any) -> Any:
    """Write a document whole over the version last updated at `expected`, an UpdateTime."""
    message = _write(name, fields, stamp)
    updated = message.current_document.update_time
    updated.seconds, updated.nanos = expected
    return message


def _write(name: str, fields: Fields, stamp: str) -> Any:
    message = write.Write.pb()()
    message.update.name = name
    for field, value in fields.items():
        _fill(message.update.fields[field], value)
    transform = message.update_transforms.add()
    transform.field_path = stamp
    transform.set_to_server_value = _REQUEST_TIME
    return message


def _fill(target: Any, value: object) -> None:
    """Write a value of our documents: text, integer, truth, None, list, mapping. Raise TypeError for any other."""
    if isinstance(value, str):
        target.string_value = value
    elif value is None:
        target.null_value = 0
    elif isinstance(value, bool):
        target.boolean_value = value
    elif isinstance(value, int):
        target.integer_value = value
    elif isinstance(value, Mapping):
        target.map_value.SetInParent()
        for name, part in value.items():
            _fill(target.map_value.fields[name], part)
    elif isinstance(value, list):
        target.array_value.SetInParent()
        for part in value:
            _fill(target.array_value.values.add(), part)
    else:
        raise TypeError(f"no document of the ledger holds a {type(value).__name__}")
