"""Events as Eventarc posts them, made by hand, for tests and benchmarks that need one of their own choosing.

The type of the data is declared here from Google's definition of it, and independently of how functions read it:
github.com/googleapis/google-cloudevents, proto/google/events/cloud/firestore/v1/data.proto.
"""

import functools
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.cloud.firestore_v1.types import document
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from shared.base.economy import LARGE_MOVEMENT_MICROS
from shared.base.ids import AccountId, EntryId
from shared.ledger import protobuf
from shared.ledger.documents import entry_document
from shared.ledger.models import Entry, EntryKind, Leg, LotChange, Origin

PACKAGE = "google.events.cloud.firestore.v1"


@dataclass(frozen=True, slots=True)
class PostedEvent:
    """What is posted: CloudEvents in binary mode, the data as a protocol buffer."""

    headers: Mapping[str, str]
    body: bytes


def created_event(project_id: str, entry: Entry, *, event_id: str = "") -> PostedEvent:
    """Tells that the entry's document was created; the document need not exist."""
    path = f"accounts/{entry.account_id}/entries/{entry.entry_id}"
    database = f"projects/{project_id}/databases/(default)"
    return PostedEvent(
        headers={
            "content-type": "application/protobuf",
            "ce-specversion": "1.0",
            "ce-id": event_id or secrets.token_hex(16),
            "ce-type": "google.cloud.firestore.document.v1.created",
            "ce-source": f"//firestore.googleapis.com/{database}",
            "ce-subject": f"documents/{path}",
            "ce-time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "ce-database": "(default)",
            "ce-document": path,
        },
        body=event_data(f"{database}/documents/{path}", entry_document(entry)),
    )


def event_data(name: str, fields: Mapping[str, Any]) -> bytes:
    """`DocumentEventData` of a new document, stamped with the server's time as an entry is."""
    data = _data_type()()
    write = protobuf.create(name, fields, stamp="committed_at")
    data.value.CopyFrom(write.update)
    for stamp in (data.value.create_time, data.value.update_time, data.value.fields["committed_at"].timestamp_value):
        stamp.GetCurrentTime()
    return bytes(data.SerializeToString())


def a_large_entry(account_id: str) -> Entry:
    """An entry that moves enough to be told of; it hangs on no chain."""
    return Entry(
        account_id=AccountId(account_id),
        entry_id=EntryId(secrets.token_hex(32)),
        seq=3,
        prev_hash="0" * 64,
        kind=EntryKind.DEBIT,
        delta_micros=-LARGE_MOVEMENT_MICROS,
        balance_micros=LARGE_MOVEMENT_MICROS,
        lots=(LotChange(Origin.PROMO, None, -LARGE_MOVEMENT_MICROS),),
        legs=(Leg(AccountId("house:revenue"), Origin.PROMO, LARGE_MOVEMENT_MICROS),),
        hold_id=None,
        request_hash="0" * 64,
        facts=(("reason", "a report"),),
        at_ms=int(time.time() * 1000),
        hash="0" * 64,
    )


@functools.cache
def _data_type() -> Any:
    """The class of `DocumentEventData`. Its document has other names than Firestore's own and the same numbers."""
    stored = document.Document.pb().DESCRIPTOR
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{PACKAGE.replace('.', '/')}/data.proto", package=PACKAGE, syntax="proto3", dependency=[stored.file.name]
    )
    mask = file.message_type.add(name="DocumentMask")
    mask.field.add(name="field_paths", number=1, type="TYPE_STRING", label="LABEL_REPEATED")
    data = file.message_type.add(name="DocumentEventData")
    types = {
        "value": f".{stored.full_name}",
        "old_value": f".{stored.full_name}",
        "update_mask": f".{PACKAGE}.{mask.name}",
    }
    for number, (name, type_name) in enumerate(types.items(), start=1):
        data.field.add(name=name, number=number, type="TYPE_MESSAGE", label="LABEL_OPTIONAL", type_name=type_name)
    pool = descriptor_pool.Default()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{data.name}"))
