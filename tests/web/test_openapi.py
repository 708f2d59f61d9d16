"""The document is made from the contracts: nothing they promise is missing, nothing else is in it."""

from typing import Annotated, Any

import schemathesis
from msgspec import Meta
from starlette.responses import Response

from shared.app import App
from shared.base.body import LAST, Body, Empty
from shared.web.auth import Caller
from shared.web.errors import STATUS_OF_CODE, STATUS_OF_KIND
from shared.web.function import http_function
from shared.web.openapi import openapi_document


class Ask(Body, frozen=True, kw_only=True):
    """Which thing, and how."""

    thing_id: Annotated[str, Meta(pattern=rf"^[a-z]+{LAST}")]
    view: str = "plain"


class Part(Body, frozen=True, kw_only=True):
    """A part of an answer."""

    name: str


class Thing(Body, frozen=True, kw_only=True):
    """An answer with a part."""

    part: Part


@http_function(auth="none", method="GET", body=Ask, path_param="thing_id", answer=Thing)
async def thing_get(body: Ask, caller: Caller, app: App) -> Thing:
    return Thing(part=Part(name=body.thing_id))


@http_function(auth="user", body=Thing, streams=True)
async def thing_put(body: Thing, caller: Caller, app: App) -> Response:
    return Response()


@http_function(auth="service", scope="things", answer=Empty)
async def things_count(body: Empty, caller: Caller, app: App) -> Empty:
    return body


def document() -> dict[str, Any]:
    """Three functions on two paths."""
    return openapi_document([("/things/{thing_id}", thing_get), ("/things", thing_put), ("/count", things_count)])


def test_it_is_a_valid_document() -> None:
    """By the specification's own schema; all of its references resolve."""
    schema = schemathesis.openapi.from_dict(document())

    schema.validate()
    assert [operation.ok().label for operation in schema.get_all_operations()] == [
        "GET /things/{thing_id}",
        "POST /things",
        "POST /count",
    ]


def test_a_get_lists_its_path_and_query_parameters() -> None:
    """With the bounds that the function checks."""
    parameters = document()["paths"]["/things/{thing_id}"]["get"]["parameters"]

    assert {(one["name"], one["in"], one["required"]) for one in parameters} == {
        ("thing_id", "path", True),
        ("view", "query", False),
    }
    assert parameters[0]["schema"]["pattern"] == "^[a-z]+$"


def test_a_body_is_required_where_it_says_something() -> None:
    """And closed: unknown fields are refused, so they are not in the document either."""
    paths = document()["paths"]

    assert paths["/things"]["post"]["requestBody"]["required"] is True
    assert paths["/count"]["post"]["requestBody"]["required"] is False
    assert document()["components"]["schemas"]["Thing"]["additionalProperties"] is False


def test_the_models_inside_of_models_are_there() -> None:
    """A reference that leads nowhere breaks every generator."""
    assert document()["components"]["schemas"].keys() >= {"Thing", "Part", "Empty", "Error"}


def test_every_status_of_a_refusal_is_listed() -> None:
    """And the one of a defect."""
    statuses = {str(status) for status in (200, 500, *STATUS_OF_KIND.values(), *STATUS_OF_CODE.values())}

    for methods in document()["paths"].values():
        for operation in methods.values():
            assert operation["responses"].keys() == statuses


def test_a_stream_is_one_of_two_answers() -> None:
    """Whole or in events, as the client asked."""
    assert document()["paths"]["/things"]["post"]["responses"]["200"]["content"].keys() == {
        "application/json",
        "text/event-stream",
    }


def test_it_says_who_may_call() -> None:
    """A bearer token, except where everybody may."""
    paths = document()["paths"]

    assert "security" not in paths["/things/{thing_id}"]["get"]
    assert paths["/things"]["post"]["security"] == paths["/count"]["post"]["security"] == [{"bearer": []}]


def test_what_is_not_json_is_listed_by_its_kind() -> None:
    """Text and bytes have no schema."""

    @http_function(auth="none", method="GET", media_types=("text/plain", "application/octet-stream"))
    async def bytes_get(body: Empty, caller: Caller, app: App) -> Response:
        return Response()

    operation = openapi_document([("/bytes", bytes_get)])["paths"]["/bytes"]["get"]
    assert operation["responses"]["200"]["content"] == {"text/plain": {}, "application/octet-stream": {}}
