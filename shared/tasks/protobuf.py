"""The messages of Cloud Tasks that we send, as plain protocol buffers.

google-cloud-tasks takes 0.18 s to import, which a function that posts would pay on every cold start; these take 0.01 s.
Names are ours and numbers Google's, which is all that the wire knows: google/cloud/tasks/v2/cloudtasks.proto,
task.proto and target.proto in github.com/googleapis/googleapis. A test has Google's library read them.
"""

import functools
from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2, message_factory, timestamp_pb2

CREATE_TASK = "/google.cloud.tasks.v2.CloudTasks/CreateTask"
POST = 1
"""`HttpMethod.POST`."""
_PACKAGE = "credence.tasks"
_TEXT, _BYTES, _NUMBER, _MESSAGE = "TYPE_STRING", "TYPE_BYTES", "TYPE_INT32", "TYPE_MESSAGE"
_FIELDS: Mapping[str, Mapping[str, tuple[int, str, str]]] = {
    "OidcToken": {"service_account_email": (1, _TEXT, ""), "audience": (2, _TEXT, "")},
    "Header": {"key": (1, _TEXT, ""), "value": (2, _TEXT, "")},
    "HttpRequest": {
        "url": (1, _TEXT, ""),
        "http_method": (2, _NUMBER, ""),
        # A map is a list of pairs on the wire.
        "headers": (3, _MESSAGE, f".{_PACKAGE}.Header"),
        "body": (4, _BYTES, ""),
        "oidc_token": (6, _MESSAGE, f".{_PACKAGE}.OidcToken"),
    },
    "Task": {
        "name": (1, _TEXT, ""),
        "http_request": (3, _MESSAGE, f".{_PACKAGE}.HttpRequest"),
        "schedule_time": (4, _MESSAGE, ".google.protobuf.Timestamp"),
        "dispatch_deadline": (6, _MESSAGE, ".google.protobuf.Duration"),
    },
    "CreateTaskRequest": {"parent": (1, _TEXT, ""), "task": (2, _MESSAGE, f".{_PACKAGE}.Task")},
}
_REPEATED = "headers"


@functools.cache
def create_task_request() -> Any:
    """The class of `CreateTaskRequest`."""
    imported = [timestamp_pb2.DESCRIPTOR.name, duration_pb2.DESCRIPTOR.name]
    file = descriptor_pb2.FileDescriptorProto(
        name="credence/tasks.proto", package=_PACKAGE, syntax="proto3", dependency=imported
    )
    for message_name, fields in _FIELDS.items():
        message = file.message_type.add(name=message_name)
        for name, (number, kind, type_name) in fields.items():
            label = "LABEL_REPEATED" if name == _REPEATED else "LABEL_OPTIONAL"
            field = message.field.add(name=name, number=number, type=kind, label=label)
            if type_name:
                field.type_name = type_name
    pool = descriptor_pool.Default()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.CreateTaskRequest"))
