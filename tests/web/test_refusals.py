"""How refusals and defects look on the wire: OpenAI's error object, the status, and advice that clients act on."""

import pytest
from starlette.responses import Response

from shared.app import App
from shared.base.body import Empty
from shared.base.errors import BadRequest, CredenceError, Kind
from shared.ledger.errors import KeyReused, RateExceeded
from shared.metering.errors import CallUnaffordable
from shared.web.auth import Caller, ScopeMissing
from shared.web.errors import STATUS_OF_KIND, TYPE_OF_KIND
from shared.web.function import HttpFunction, http_function
from tests.web.conftest import Lines
from tests.web.server import Reply, serve

SECRET = "crd_secret_0123456789"


def failing_with(error: Exception) -> HttpFunction:
    """A function that can only fail."""

    @http_function(auth="none")
    async def fail(body: Empty, caller: Caller, app: App) -> Response:
        raise error

    return fail


async def reply_to(error: Exception) -> Reply:
    async with serve(failing_with(error)) as site:
        return await site.post("/fail", {})


def test_every_kind_has_a_status_and_a_type() -> None:
    assert set(STATUS_OF_KIND) == set(TYPE_OF_KIND) == set(Kind)


@pytest.mark.parametrize(
    ("error", "status", "retry"),
    [
        (BadRequest("no"), 400, "false"),
        (ScopeMissing("timer"), 403, "false"),
        (KeyReused(), 409, "false"),
        (CallUnaffordable(needed_micros=5, spendable_micros=3, affordable_max_tokens=2), 402, "false"),
        (RateExceeded(per_window_max=1, window_ms=1000, retry_after_ms=1500), 429, "true"),
    ],
)
async def test_a_refusal_has_its_status_and_says_whether_to_retry(
    error: CredenceError, status: int, retry: str
) -> None:
    """OpenAI's SDKs would retry a 409 by themselves, and a client told nothing might retry a 402."""
    reply = await reply_to(error)

    assert reply.status == status
    assert reply.headers["x-should-retry"] == retry
    assert reply.headers["x-request-id"].startswith("req_")
    assert reply.error["code"] == error.code
    assert reply.error["message"] == error.message
    assert set(reply.error) >= {"message", "type", "param", "code"}


async def test_the_unaffordable_learn_what_they_could_afford() -> None:
    reply = await reply_to(CallUnaffordable(needed_micros=5, spendable_micros=3, affordable_max_tokens=2))

    numbers = {name: reply.error[name] for name in ("needed_micros", "spendable_micros", "affordable_max_tokens")}
    assert numbers == {"needed_micros": 5, "spendable_micros": 3, "affordable_max_tokens": 2}
    assert "max_tokens" in reply.error["message"]


async def test_a_busy_answer_says_when_to_come_back() -> None:
    """In both of the headers that SDKs read; whole seconds are rounded up."""
    reply = await reply_to(RateExceeded(per_window_max=1, window_ms=1000, retry_after_ms=1500))

    assert (reply.headers["retry-after-ms"], reply.headers["retry-after"]) == ("1500", "2")


async def test_a_defect_answers_500_and_keeps_its_words(log_lines: Lines) -> None:
    """An exception's message may quote what a user sent: neither the answer nor the log repeats it."""
    reply = await reply_to(RuntimeError(f"could not parse {SECRET}"))

    lines = log_lines()
    assert (reply.status, reply.error["code"]) == (500, "internal_error")
    assert reply.headers["x-request-id"] in reply.error["message"]
    assert SECRET not in reply.body.decode() + repr(lines)
    crash = next(line for line in lines if line["message"] == "crash")
    assert (crash["error"], crash["request_id"]) == ("RuntimeError", reply.headers["x-request-id"])
    assert "fail (test_refusals.py:" in str(crash["stack"])


async def test_a_wrong_method_says_the_right_one() -> None:
    async with serve(failing_with(BadRequest("not reached"))) as site:
        reply = await site.ask("DELETE", "/fail")

    assert (reply.status, reply.headers["allow"], reply.error["code"]) == (405, "POST", "method_not_allowed")


@pytest.mark.parametrize("sent", [None, "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "token abc"])
async def test_no_usable_token_is_401_and_asks_for_a_bearer(sent: str | None) -> None:
    @http_function(auth="user")
    async def whoami(body: Empty, caller: Caller, app: App) -> Response:
        raise AssertionError("it was let through")

    async with serve(whoami) as site:
        reply = await site.post("/whoami", {}, {} if sent is None else {"authorization": sent})

    assert (reply.status, reply.error["code"]) == (401, "missing_token")
    assert reply.headers["www-authenticate"] == "Bearer"


async def test_a_request_writes_one_line_of_ids_and_no_body(log_lines: Lines) -> None:
    async with serve(failing_with(BadRequest("no"))) as site:
        await site.post("/fail", {"note": SECRET}, {"authorization": f"Bearer {SECRET}"})

    [line] = [line for line in log_lines() if line["message"] == "request"]
    assert (line["function"], line["status"], line["code"]) == ("fail", 400, "invalid_request")
    assert SECRET not in repr(line)
