"""Stands for Google's provider where Terraform plans: it knows which arguments there are, and makes nothing.

Terraform speaks with it as with the real one, over gRPC, and so itself finds whatever is misspelt, missing or of a
wrong type. What only Google could say of a resource (an id, an address) is made up here, so that a plan has no gaps.
Names are ours and numbers Terraform's: docs/plugin-protocol/tfplugin6.0.proto in github.com/hashicorp/terraform.
"""

import functools
import json
import os
from collections.abc import Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
import msgspec
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from local.process import HOST

_PACKAGE = "credence.provider"
_SERVICE = "tfplugin6.Provider"
_SOURCE = "registry.terraform.io/hashicorp/google"
_SETTINGS = ("project", "region")
_NESTING = {"single": 1, "list": 2, "set": 3}
_TEXT, _BYTES, _NUMBER, _TRUTH = "TYPE_STRING", "TYPE_BYTES", "TYPE_INT64", "TYPE_BOOL"
_MESSAGES: Mapping[str, Mapping[str, tuple[int, str, bool]]] = {
    "Value": {"msgpack": (1, _BYTES, False)},
    "Attribute": {
        "name": (1, _TEXT, False),
        "type": (2, _BYTES, False),
        "required": (4, _TRUTH, False),
        "optional": (5, _TRUTH, False),
        "computed": (6, _TRUTH, False),
    },
    "NestedBlock": {
        "type_name": (1, _TEXT, False),
        "block": (2, "Block", False),
        "nesting": (3, _NUMBER, False),
        "min_items": (4, _NUMBER, False),
        "max_items": (5, _NUMBER, False),
    },
    "Block": {"attributes": (2, "Attribute", True), "block_types": (3, "NestedBlock", True)},
    "Schema": {"block": (2, "Block", False)},
    # A map is a list of pairs on the wire.
    "Named": {"key": (1, _TEXT, False), "value": (2, "Schema", False)},
    "Schemas": {"provider": (1, "Schema", False), "resources": (2, "Named", True)},
    "Asked": {"type_name": (1, _TEXT, False), "proposed": (3, "Value", False)},
    "Planned": {"state": (1, "Value", False)},
    "Nothing": {},
}


@functools.cache
def _messages() -> dict[str, Any]:
    """The classes of all messages."""
    file = descriptor_pb2.FileDescriptorProto(name="credence/provider.proto", package=_PACKAGE, syntax="proto3")
    for message_name, fields in _MESSAGES.items():
        message = file.message_type.add(name=message_name)
        for name, (number, kind, repeated) in fields.items():
            field = message.field.add(
                name=name, number=number, label="LABEL_REPEATED" if repeated else "LABEL_OPTIONAL"
            )
            if kind in _MESSAGES:
                field.type_name = f".{_PACKAGE}.{kind}"
            field.type = descriptor_pb2.FieldDescriptorProto.Type.Value("TYPE_MESSAGE" if kind in _MESSAGES else kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = {name: pool.FindMessageTypeByName(f"{_PACKAGE}.{name}") for name in _MESSAGES}
    return {name: message_factory.GetMessageClass(descriptor) for name, descriptor in found.items()}


def _message(name: str) -> Any:
    return _messages()[name]


class Provider:
    """Answers Terraform from a schema."""

    def __init__(self, resources: Mapping[str, Any]) -> None:
        self._resources = resources

    def schemas(self, _: Any) -> Any:
        """Everything that may be written, and what must be."""
        text = {"arguments": {name: ["string", "optional"] for name in _SETTINGS}, "blocks": {}}
        said = _message("Schemas")(provider=_message("Schema")(block=_block(text)))
        for name, block in self._resources.items():
            said.resources.add(key=name, value=_message("Schema")(block=_block(block)))
        return said

    def plan(self, asked: Any) -> Any:
        """What is proposed, with what Google would add."""
        state = msgspec.msgpack.decode(asked.proposed.msgpack)
        if state is not None:
            for name, (kind, need) in self._resources[asked.type_name]["arguments"].items():
                if need == "computed" and kind == "string":
                    state[name] = _made_up(asked.type_name, name, state)
        return _message("Planned")(state=_message("Value")(msgpack=msgspec.msgpack.encode(state)))

    def nothing(self, _: Any) -> Any:
        """Nothing to say against it."""
        return _message("Nothing")()


def _block(described: Mapping[str, Any]) -> Any:
    block = _message("Block")()
    for name, (kind, need) in described["arguments"].items():
        # `required`, `optional` and `computed` are what the message calls them, too.
        block.attributes.add(name=name, type=json.dumps(kind).encode(), **{need: True})
    for name, inner in described["blocks"].items():
        nested = block.block_types.add(type_name=name, block=_block(inner), nesting=_NESTING[inner["nesting"]])
        nested.min_items, nested.max_items = inner["min"], inner["max"]
    return block


def _made_up(kind: str, name: str, state: Mapping[str, Any]) -> str:
    """As Google would write it, where something here reads it; for all else a text that is recognised."""
    account = f"{state.get('account_id')}@credence-production.iam.gserviceaccount.com"
    match kind, name:
        case "google_service_account", "email":
            return account
        case "google_service_account", "member":
            return f"serviceAccount:{account}"
        case "google_kms_key_ring", "id":
            return f"projects/credence-production/locations/{state['location']}/keyRings/{state['name']}"
        case "google_kms_crypto_key", "id":
            return f"{state['key_ring']}/cryptoKeys/{state['name']}"
    return f"{kind}/{state.get('name') or state.get('account_id')}/{name}"


@contextmanager
def served(resources: Mapping[str, Any]) -> Iterator[str]:
    """Serve the schema until the block ends; gives what TF_REATTACH_PROVIDERS must be for Terraform to find it."""
    provider = Provider(resources)
    answers = {
        "GetProviderSchema": ("Nothing", provider.schemas),
        "ValidateProviderConfig": ("Nothing", provider.nothing),
        "ValidateResourceConfig": ("Nothing", provider.nothing),
        "ConfigureProvider": ("Nothing", provider.nothing),
        "PlanResourceChange": ("Asked", provider.plan),
        "StopProvider": ("Nothing", provider.nothing),
    }
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            lambda request, _, answer=answer: answer(request),
            request_deserializer=_message(asked).FromString,
            response_serializer=lambda said: said.SerializeToString(),
        )
        for name, (asked, answer) in answers.items()
    }
    with futures.ThreadPoolExecutor(4, thread_name_prefix="provider") as threads:
        server = grpc.server(threads, handlers=[grpc.method_handlers_generic_handler(_SERVICE, handlers)])
        port = server.add_insecure_port(f"{HOST}:0")
        server.start()
        address = {"Network": "tcp", "String": f"{HOST}:{port}"}
        attached = {"Protocol": "grpc", "ProtocolVersion": 6, "Pid": os.getpid(), "Test": True, "Addr": address}
        try:
            yield json.dumps({_SOURCE: attached})
        finally:
            server.stop(grace=None).wait()
