"""The wrapper around event functions: what it takes, from whom, and what is acknowledged or tried again."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from google.cloud.firestore_v1.types import Document
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from local.cloudevent import PostedEvent, a_large_entry, created_event, event_data
from shared.app import App
from shared.base.errors import BadRequest, CredenceError, Kind
from shared.identity.models import Service
from shared.ledger.documents import entry_document
from shared.web import protobuf
from shared.web.cloudevent import EVENT_BYTES_MAX, read_cloudevent
from shared.web.errors import DELIVERY_OF_KIND, Delivery, error_response
from shared.web.event import CreatedDocument, EventFunction, event_function, match_path
from tests.web.conftest import Lines
from tests.web.server import Reply, Site, request_head, serve

PROJECT = "demo-web"
ENTRY = a_large_entry("user:ada")
EVENT = created_event(PROJECT, ENTRY, event_id="event-1")
TOKEN = {"authorization": "Bearer eventarc"}


class Identity:
    """Knows three tokens."""

    async def service(self, token: str) -> Service:
        if token == "busy":
            raise Refused(Kind.UNAVAILABLE)
        if token not in ("eventarc", "other"):
            raise Refused(Kind.UNAUTHENTICATED)
        return Service("eventarc@example.com", frozenset({"event"} if token == "eventarc" else {"timer"}))


class Refused(CredenceError):
    """A refusal of any kind."""

    code = "refused"

    def __init__(self, kind: Kind) -> None:
        super().__init__("Refused.")
        self.kind = kind  # type: ignore[misc]


@pytest.fixture(autouse=True)
def known_services(monkeypatch: pytest.MonkeyPatch) -> None:
    """The identity of every app is ours; who checks real tokens is tested where identity is."""
    monkeypatch.setattr(App, "identity", Identity())


class Taken(list[CreatedDocument]):
    """What a handler was told of."""


def taking(taken: Taken, error: Exception | None = None) -> EventFunction:
    """Takes entries, and fails at its work if it is given an error."""

    @event_function(document="accounts/{account}/entries/{entry}")
    async def take(event: CreatedDocument, app: App) -> None:
        taken.append(event)
        if error is not None:
            raise error

    return take


async def post(site: Site, event: PostedEvent = EVENT, headers: Mapping[str, str] = TOKEN) -> Reply:
    return await site.ask("POST", "/take", event.body, {**event.headers, **headers})


def structured(**changes: object) -> PostedEvent:
    """The same event in one JSON object; a field that is changed to None is left out."""
    attributes = {name.removeprefix("ce-"): value for name, value in EVENT.headers.items() if name.startswith("ce-")}
    event = {**attributes, "data_base64": base64.b64encode(EVENT.body).decode(), **changes}
    body = json.dumps({name: value for name, value in event.items() if value is not None}).encode()
    return PostedEvent({"content-type": "application/cloudevents+json; charset=utf-8"}, body)


def with_header(name: str, value: str) -> PostedEvent:
    return PostedEvent({**EVENT.headers, name: value}, EVENT.body)


def without_header(name: str) -> PostedEvent:
    return PostedEvent({key: value for key, value in EVENT.headers.items() if key != name}, EVENT.body)


@pytest.mark.parametrize("event", [EVENT, structured()], ids=["binary", "structured"])
async def test_a_handler_is_given_the_document(event: PostedEvent, log_lines: Lines) -> None:
    """In either mode: its names, and its fields in Python's types; one line tells of the event."""
    taken = Taken()
    async with serve(taking(taken)) as site:
        reply = await post(site, event)

    assert (reply.status, reply.body) == (200, b"")
    [document] = taken
    assert document.event_id == "event-1"
    assert document.names == {"account": "user:ada", "entry": ENTRY.entry_id}
    stamp = document.fields["committed_at"]
    assert document.fields == {**entry_document(ENTRY), "committed_at": stamp}
    assert stamp.tzinfo is not None
    [line] = log_lines()
    assert (line["severity"], line["function"], line["event_id"], line["status"]) == ("INFO", "take", "event-1", 200)
    assert line["request_id"] == reply.headers["x-request-id"]


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "missing_token"),
        ({"authorization": "Bearer stranger"}, 401, "refused"),
        ({"authorization": "Bearer other"}, 403, "scope_missing"),
        ({"authorization": "Bearer busy"}, 503, "refused"),
    ],
)
async def test_whoever_may_not_deliver_is_refused_and_not_acknowledged(
    headers: dict[str, str], status: int, code: str
) -> None:
    """Even an event that nobody could take: a stranger learns nothing, and Eventarc's own events wait."""
    taken = Taken()
    async with serve(taking(taken)) as site:
        for event in (EVENT, PostedEvent({}, b"")):
            reply = await post(site, event, headers)
            assert (reply.status, reply.error["code"]) == (status, code)

    assert not taken


async def test_only_a_post_delivers() -> None:
    async with serve(taking(Taken())) as site:
        reply = await site.ask("GET", "/take", headers=TOKEN)

    assert (reply.status, reply.headers["allow"]) == (405, "POST")


UNTAKABLE = {
    "no event": PostedEvent({"content-type": "application/protobuf"}, EVENT.body),
    "no body": PostedEvent(EVENT.headers, b""),
    "no id": without_header("ce-id"),
    "an empty id": with_header("ce-id", ""),
    "another version of CloudEvents": with_header("ce-specversion", "0.3"),
    "another type": with_header("ce-type", "google.cloud.firestore.document.v1.deleted"),
    "no protocol buffer": PostedEvent(EVENT.headers, b"\xff\xff"),
    "another project": created_event("demo-other", ENTRY),
    "another path": PostedEvent(EVENT.headers, event_data(f"projects/{PROJECT}/databases/(default)/documents/a/b", {})),
    "a path without a database": PostedEvent(EVENT.headers, event_data("accounts/a/entries/b", {})),
    "no JSON": PostedEvent(structured().headers, b"{"),
    "JSON in another encoding": PostedEvent(structured().headers, b"\xff\xfe{\x00}\x00"),
    "a list": PostedEvent(structured().headers, b"[]"),
    "no base64": structured(data_base64="*"),
    "data of another type": structured(data_base64=1),
    "no source": structured(source=None),
}


@pytest.mark.parametrize("what", UNTAKABLE)
async def test_what_can_never_succeed_is_acknowledged_and_told_to_the_log(what: str, log_lines: Lines) -> None:
    taken = Taken()
    async with serve(taking(taken)) as site:
        reply = await post(site, UNTAKABLE[what])

    assert reply.status == 200
    assert not taken
    dropped, request = log_lines()
    assert (dropped["severity"], dropped["message"], dropped["function"]) == ("ERROR", "event_dropped", "take")
    assert dropped["code"]
    assert dropped["reason"]
    assert request["message"] == "request"


@pytest.mark.parametrize("kind", Kind)
async def test_a_refusal_is_acknowledged_or_tried_again_by_its_kind(kind: Kind, log_lines: Lines) -> None:
    refusal = Refused(kind)
    async with serve(taking(Taken(), refusal)) as site:
        reply = await post(site)

    told = [line["message"] for line in log_lines()]
    if DELIVERY_OF_KIND[kind] is Delivery.ACKNOWLEDGE:
        assert (reply.status, told) == (200, ["event_dropped", "request"])
    else:
        assert (reply.status, told) == (error_response(refusal, "").status_code, ["request"])  # type: ignore[arg-type]
        assert reply.status >= 400


def test_every_kind_is_acknowledged_or_tried_again() -> None:
    """What may pass by itself is tried again."""
    assert DELIVERY_OF_KIND.keys() == set(Kind)
    assert DELIVERY_OF_KIND[Kind.UNAVAILABLE] is DELIVERY_OF_KIND[Kind.BUSY] is Delivery.RETRY
    assert DELIVERY_OF_KIND[Kind.INVALID] is Delivery.ACKNOWLEDGE


async def test_a_defect_is_tried_again_and_told_without_its_words(log_lines: Lines) -> None:
    """Whoever mends it within a day loses no event."""
    async with serve(taking(Taken(), RuntimeError("sk-secret"))) as site:
        reply = await post(site)

    assert reply.status == 500
    lines = log_lines()
    assert [line["message"] for line in lines] == ["crash", "request"]
    assert b"sk-secret" not in reply.body + json.dumps(lines).encode()


async def test_an_event_too_large_to_read_is_acknowledged(log_lines: Lines) -> None:
    """By what its head says of it; Eventarc sends none of this size."""
    head = request_head("POST", "/take", {**EVENT.headers, **TOKEN, "content-length": str(EVENT_BYTES_MAX + 1)})
    async with serve(taking(Taken())) as site:
        reply = await site.send(head)

    assert reply.status == 200
    assert log_lines()[0]["code"] == "request_too_large"


async def test_an_attribute_in_a_header_is_percent_encoded() -> None:
    """As the HTTP binding has it; a document's own name is in the data, where it stands as it is."""
    taken, entry = Taken(), a_large_entry("user:a%20b")
    async with serve(taking(taken)) as site:
        await post(site, created_event(PROJECT, entry, event_id="caf%C3%A9"))

    assert [(event.event_id, event.names["account"]) for event in taken] == [("café", "user:a%20b")]


def test_every_value_of_firestore_is_read() -> None:
    """A document that is not ours must fail where its fields are looked at, and not here."""
    value = {
        "m": {"map_value": {"fields": {"n": {"null_value": 0}}}},
        "a": {"array_value": {"values": [{"double_value": 0.5}, {}]}},
        "g": {"geo_point_value": {"latitude": 1.0, "longitude": 2.0}},
        "b": {"bytes_value": b"\x00"},
        "r": {"reference_value": "projects/p/databases/d/documents/a/b"},
        "t": {"boolean_value": True},
        "i": {"integer_value": -(2**63)},
        "s": {"string_value": "ä"},
    }
    name = f"projects/{PROJECT}/databases/(default)/documents/a/b"
    document = Document.serialize(Document({"name": name, "fields": value}))
    length = bytes([len(document) & 0x7F | 0x80, len(document) >> 7])

    read = protobuf.created_document(b"\x0a" + length + document)

    assert read.fields == {
        "m": {"n": None},
        "a": [0.5, None],
        "g": (1.0, 2.0),
        "b": b"\x00",
        "r": "projects/p/databases/d/documents/a/b",
        "t": True,
        "i": -(2**63),
        "s": "ä",
    }


@given(data=st.binary(max_size=200))
def test_whatever_bytes_come_are_a_document_or_refused(data: bytes) -> None:
    try:
        protobuf.created_document(data)
    except BadRequest:
        return


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.one_of(
        st.binary(max_size=50),
        st.recursive(
            st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
        ).map(lambda value: json.dumps(value).encode()),
        st.fixed_dictionaries(
            {
                name: st.none() | st.text() | st.integers()
                for name in ("specversion", "id", "source", "type", "data_base64")
            }
        ).map(lambda value: json.dumps(value).encode()),
    ),
    content_type=st.sampled_from(["application/cloudevents+json", "application/protobuf", ""]),
)
async def test_whatever_is_posted_is_an_event_or_refused(body: bytes, content_type: str) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", content_type.encode())]}
    with pytest.raises(BadRequest):
        await read_cloudevent(Request(scope, receive))


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("accounts/a/entries/b", {"account": "a", "entry": "b"}),
        ("accounts/a/entries", None),
        ("accounts/a/entries/b/c", None),
        ("accounts/a/notes/b", None),
        ("", None),
    ],
)
def test_a_path_matches_part_by_part(path: str, names: dict[str, str] | None) -> None:
    assert match_path("accounts/{account}/entries/{entry}", path) == names


def test_a_contract_says_what_starts_it() -> None:
    function = taking(Taken())

    assert function.__name__ == function.contract.name == "take"
    assert function.contract.event == "google.cloud.firestore.document.v1.created accounts/{account}/entries/{entry}"
