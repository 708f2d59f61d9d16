"""The wrapper around every function: request ids, refusals, crashes, and one line per request without any secret."""

import re

import pytest
from starlette.responses import JSONResponse, Response

from shared.app import App
from shared.base.body import Body, Empty
from shared.base.errors import CredenceError, Kind
from shared.web.auth import Caller
from shared.web.function import HttpFunction, http_function
from tests.web.conftest import Lines
from tests.web.server import serve

SECRET = "sk-what-the-user-said"
TRACE = "105445aa7843bc8bf206b12000100000"


class Note(Body, frozen=True, kw_only=True):
    """A field to put a secret into."""

    text: str = "none"


class Told(Body, frozen=True, kw_only=True):
    """An answer."""

    request_id: str


class Sold(CredenceError):
    """A refusal with values."""

    code = "sold"
    kind = Kind.CONFLICT

    def details(self) -> dict[str, int | str]:
        return {"left": 0}


def telling() -> HttpFunction:
    """Answers with the id of its request."""

    @http_function(auth="none", body=Note, answer=Told)
    async def tell(body: Note, caller: Caller, app: App) -> Told:
        return Told(request_id=caller.request_id)

    return tell


def raising(error: Exception) -> HttpFunction:
    """Fails at its work."""

    @http_function(auth="none", body=Note)
    async def fail(body: Note, caller: Caller, app: App) -> Response:
        raise error

    return fail


async def test_every_answer_carries_the_id_of_its_request(log_lines: Lines) -> None:
    """The same in the header, for the handler, and in the log; never one that the client chose."""
    async with serve(telling()) as site:
        first = await site.post("/tell", {}, {"x-request-id": "req_mine"})
        second = await site.post("/tell", {})

    ids = [reply.headers["x-request-id"] for reply in (first, second)]
    assert ids == [first.json["request_id"], second.json["request_id"]]
    assert ids == [line["request_id"] for line in log_lines()]
    assert len(set(ids)) == 2
    assert all(re.fullmatch(r"req_[0-9a-f]{32}", one) for one in ids)


async def test_an_answer_is_kept_by_nobody() -> None:
    """Balances and receipts are the caller's own."""
    async with serve(telling()) as site:
        assert (await site.post("/tell", {})).headers["cache-control"] == "no-store"


async def test_a_response_that_a_handler_builds_is_sent_as_it_is() -> None:
    """With the id of the request added."""

    @http_function(auth="none")
    async def build(body: Empty, caller: Caller, app: App) -> Response:
        return JSONResponse({"a": 1}, status_code=202, headers={"x-cost": "5"})

    async with serve(build) as site:
        reply = await site.post("/build", {})

    assert (reply.status, reply.json, reply.headers["x-cost"]) == (202, {"a": 1}, "5")
    assert reply.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
async def test_another_method_is_refused_before_anything_is_read(method: str, log_lines: Lines) -> None:
    """The right one is named; OPTIONS without a page behind it is no preflight."""
    async with serve(telling()) as site:
        reply = await site.ask(method, "/tell")

    assert (reply.status, reply.headers["allow"]) == (405, "POST")
    assert method == "HEAD" or reply.error["code"] == "method_not_allowed"
    assert [line["code"] for line in log_lines()] == ["method_not_allowed"]


async def test_a_refusal_is_shown_with_its_values(log_lines: Lines) -> None:
    """It is part of the contract, so it is no error of ours in the log."""
    async with serve(raising(Sold("It is sold.", param="text"))) as site:
        reply = await site.post("/fail", {})

    assert reply.status == 409
    assert reply.error == {
        "message": "It is sold.",
        "type": "conflict_error",
        "param": "text",
        "code": "sold",
        "left": 0,
    }
    assert [(line["severity"], line["status"], line["code"]) for line in log_lines()] == [("INFO", 409, "sold")]


async def test_a_crash_tells_the_caller_an_id_and_the_log_a_place(log_lines: Lines) -> None:
    """Its message goes to neither: it may quote what somebody sent."""
    async with serve(raising(KeyError(SECRET))) as site:
        reply = await site.post("/fail", {"text": SECRET})

    assert (reply.status, reply.error["code"]) == (500, "internal_error")
    assert reply.headers["x-request-id"] in reply.error["message"]
    assert reply.headers["x-should-retry"] == "false"
    lines = log_lines()
    crash, request = lines
    assert (crash["severity"], crash["message"], crash["error"]) == ("ERROR", "crash", "KeyError")
    assert crash["stack"].startswith("fail (test_function.py:")
    assert (request["severity"], request["status"], request["code"]) == ("ERROR", 500, "KeyError")
    assert {line["request_id"] for line in lines} == {reply.headers["x-request-id"]}
    assert SECRET not in reply.body.decode() + str(lines)
    assert "/" not in crash["stack"]


async def test_an_answer_that_cannot_be_written_is_a_crash_too(log_lines: Lines) -> None:
    """Half a character cannot be sent as UTF-8, and is found before the status is."""

    @http_function(auth="none", answer=Told)
    async def tell(body: Empty, caller: Caller, app: App) -> Told:
        return Told.model_construct(request_id="\ud800")

    async with serve(tell) as site:
        reply = await site.post("/tell", {})

    assert (reply.status, reply.error["code"]) == (500, "internal_error")
    assert [line["message"] for line in log_lines()] == ["crash", "request"]


async def test_settings_that_cannot_be_used_are_a_crash_without_values(
    log_lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was started by other means than main.py tells nobody what is in its environment."""
    monkeypatch.setenv("STANDIN_DISCONNECT", SECRET)
    async with serve(telling()) as site:
        reply = await site.post("/tell", {})

    assert reply.status == 500
    assert SECRET not in reply.body.decode() + str(log_lines())


async def test_the_line_of_a_request_has_no_secret(log_lines: Lines) -> None:
    """Nothing of its headers, its query or its body; ids, a status and a time."""
    async with serve(telling()) as site:
        headers = {"authorization": f"Bearer {SECRET}", "cookie": SECRET, "user-agent": SECRET, "x-request-id": SECRET}
        reply = await site.post(f"/tell?key={SECRET}", {"text": SECRET}, headers)

    (line,) = log_lines()
    assert reply.status == 200
    assert line.keys() == {"severity", "message", "request_id", "function", "status", "code", "duration_ms"}
    assert (line["function"], line["status"], line["code"]) == ("tell", 200, None)
    assert SECRET not in str(line)


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (f"{TRACE}/123;o=1", TRACE),
        (TRACE, TRACE),
        (f"{TRACE}0", None),
        ("nonsense", None),
        ("x" * 32, None),
        ("\xe9" * 32, None),
        ("", None),
    ],
)
async def test_the_trace_of_the_load_balancer_joins_the_lines(header: str, told: str | None, log_lines: Lines) -> None:
    """Only what is one: the header comes from outside."""
    async with serve(telling()) as site:
        await site.post("/tell", {}, {"x-cloud-trace-context": header})

    assert [line.get("logging.googleapis.com/trace") for line in log_lines()] == [told]


def test_the_contract_says_what_the_decorator_was_told() -> None:
    """The manifest, the OpenAPI document and the tests read it."""
    contract = telling().contract

    assert (contract.name, contract.method, contract.auth, contract.body) == ("tell", "POST", "none", Note)
    assert __doc__ is not None
    assert contract.summary == __doc__
