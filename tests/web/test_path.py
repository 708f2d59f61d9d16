"""What a GET may say: each query parameter once, the last segment of the path, and nothing else."""

from shared.app import App
from shared.base.body import Body, ShortText
from shared.web.auth import Caller
from shared.web.function import HttpFunction, http_function
from tests.web.server import serve


class Question(Body, frozen=True, kw_only=True):
    """A field of the path and one of the query."""

    thing_id: ShortText
    view: ShortText = "plain"


def telling_things() -> HttpFunction:
    """Answers with what it was asked."""

    @http_function(auth="none", method="GET", body=Question, path_param="thing_id", answer=Question)
    async def things(body: Question, caller: Caller, app: App) -> Question:
        return body

    return things


async def test_the_last_segment_fills_its_field() -> None:
    """As it was meant: percent-encoding is undone, and nothing else is touched."""
    async with serve(telling_things()) as site:
        for target, thing_id in (
            ("/things/a", "a"),
            ("/things/deeper/a", "a"),
            ("/things/a/", "a"),
            ("/things/%C3%A9%20b", "é b"),
            ("/things/a%3Fb%23c", "a?b#c"),
            ("/things/a%0A", "a\n"),
            ("/things/%09a", "\ta"),
            ("/things/a%2Fb", "b"),
            ("/things/%FF", "\ufffd"),
            ("/things/%252F", "%2F"),
        ):
            reply = await site.ask("GET", target)
            assert (reply.status, reply.json["thing_id"]) == (200, thing_id), target


async def test_the_query_fills_the_other_fields() -> None:
    """Every value is text."""
    async with serve(telling_things()) as site:
        for query, view in (("view=full", "full"), ("view=1", "1"), ("view=%C3%A9+b", "é b"), ("", "plain")):
            reply = await site.ask("GET", f"/things/a?{query}")
            assert (reply.status, reply.json["view"]) == (200, view), query


async def test_what_cannot_be_meant_is_refused() -> None:
    """A parameter given twice, one too many, an empty one, and the path's own in the query."""
    async with serve(telling_things()) as site:
        for target, param in (
            ("/things/a?view=x&view=y", None),
            ("/things/a?view=x&view=x", None),
            ("/things/a?more=x", "more"),
            ("/things/a?view=", "view"),
            ("/things/a?view", "view"),
            ("/things/a?thing_id=b", "thing_id"),
            (f"/things/{'a' * 201}", "thing_id"),
            ("/things/a?%FF=1", "\ufffd"),
            ("/things/a?view=" + "%F0%9F%99%82" * 201, "view"),
        ):
            reply = await site.ask("GET", target)
            assert (reply.status, reply.error["code"]) == (400, "invalid_request"), target
            assert reply.error["param"] == param, target


async def test_an_odd_host_changes_nothing() -> None:
    """What the path says is not read through an address that the client composes."""
    async with serve(telling_things()) as site:
        for host in ("[", "a/b?", "x:y:z", "\xff", ""):
            reply = await site.ask("GET", "/things/a", headers={"host": host})
            assert reply.status == 400 or reply.json["thing_id"] == "a", host


async def test_a_body_that_comes_with_a_get_is_not_read() -> None:
    """Some clients send `{}` with everything."""
    async with serve(telling_things()) as site:
        reply = await site.ask("GET", "/things/a", b'{"view": 7}')

    assert (reply.status, reply.json["view"]) == (200, "plain")


def telling_rests() -> HttpFunction:
    """Answers with all of the path that follows a prefix."""

    @http_function(
        auth="none", method="GET", body=Question, path_param="thing_id", path_prefix="/rests/", answer=Question
    )
    async def rests(body: Question, caller: Caller, app: App) -> Question:
        return body

    return rests


async def test_the_rest_of_the_path_fills_its_field() -> None:
    """Slashes and all, exactly as it stands."""
    async with serve(telling_rests()) as site:
        for target, rest in (
            ("/rests/a", "a"),
            ("/rests/a/b/000.p/5", "a/b/000.p/5"),
            ("/rests/a/", "a/"),
            ("/rests//a", "/a"),
            ("/rests/a%2Fb", "a/b"),
            ("/rests/rests/a", "rests/a"),
        ):
            reply = await site.ask("GET", target)
            assert (reply.status, reply.json["thing_id"]) == (200, rest), target
        for target in ("/rests", "/restsx/rests/a", "/rests/", "/rests/a?thing_id=b"):
            assert (await site.ask("GET", target)).status == 400, target
