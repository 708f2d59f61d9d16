"""How refusals look on the wire, for every kind and every error there is."""

import importlib
import json
import pkgutil
import re

import pytest

import shared
from shared.base.errors import BadRequest, CredenceError, Kind
from shared.base.ids import RequestId
from shared.ledger.errors import RateExceeded
from shared.web.errors import (
    STATUS_OF_KIND,
    TYPE_OF_KIND,
    BodyTooLarge,
    MethodWrong,
    PathUnknown,
    crash_response,
    error_response,
)

REQUEST_ID = RequestId("req_1")


def all_errors() -> list[type[CredenceError]]:
    """Every refusal in the code."""
    for module in pkgutil.walk_packages(shared.__path__, "shared."):
        if module.name.endswith("errors") or module.name.startswith("shared.web."):
            importlib.import_module(module.name)
    found, pending = [], [CredenceError]
    while pending:
        for error in pending.pop().__subclasses__():
            if error.__module__.startswith("shared."):
                # One without a code is what several have in common, and never raised itself.
                found += [error] if hasattr(error, "code") else []
                pending.append(error)
    return found


def error_of(kind: Kind) -> CredenceError:
    """A refusal of that kind."""
    made = type("Made", (CredenceError,), {"code": "made", "kind": kind})
    error: CredenceError = made("It is so.", param="amount_micros")
    return error


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_its_status_and_openais_shape(kind: Kind) -> None:
    """A kind that somebody adds without a row in the tables fails here."""
    response = error_response(error_of(kind), REQUEST_ID)

    assert response.status_code == STATUS_OF_KIND[kind]
    assert json.loads(bytes(response.body)) == {
        "error": {"message": "It is so.", "type": TYPE_OF_KIND[kind], "param": "amount_micros", "code": "made"}
    }
    assert response.headers["x-request-id"] == REQUEST_ID


@pytest.mark.parametrize("kind", Kind)
def test_only_what_may_pass_by_itself_is_worth_a_retry(kind: Kind) -> None:
    """OpenAI's SDKs would retry a conflict and every 5xx; the header tells them not to."""
    response = error_response(error_of(kind), REQUEST_ID)

    worth = kind in (Kind.BUSY, Kind.UNAVAILABLE)
    assert response.headers["x-should-retry"] == ("true" if worth else "false")
    assert ("www-authenticate" in response.headers) == (response.status_code == 401)


@pytest.mark.parametrize(("wait_ms", "wait_s"), [(1, "1"), (999, "1"), (1000, "1"), (1001, "2"), (59_999, "60")])
def test_a_busy_answer_says_when_to_come_back(wait_ms: int, wait_s: str) -> None:
    """In milliseconds for those who read them, in seconds rounded up for the others."""
    error = RateExceeded(per_window_max=600, window_ms=60_000, retry_after_ms=wait_ms)

    response = error_response(error, REQUEST_ID)

    assert (response.status_code, response.headers["x-should-retry"]) == (429, "true")
    assert (response.headers["retry-after-ms"], response.headers["retry-after"]) == (str(wait_ms), wait_s)
    assert json.loads(bytes(response.body))["error"]["retry_after_ms"] == wait_ms


@pytest.mark.parametrize(
    ("error", "status"), [(BodyTooLarge(bytes_max=10), 413), (MethodWrong("GET"), 405), (PathUnknown(), 404)]
)
def test_where_http_is_more_exact_so_are_we(error: CredenceError, status: int) -> None:
    """These have statuses of their own."""
    response = error_response(error, REQUEST_ID)

    assert response.status_code == status
    assert response.headers.get("allow") == ("GET" if status == 405 else None)


def test_a_defect_says_nothing_but_what_to_ask_for() -> None:
    """The request id, and no retry: it might have moved something."""
    response = crash_response(REQUEST_ID)

    error = json.loads(bytes(response.body))["error"]
    assert (response.status_code, error["code"], error["type"]) == (500, "internal_error", "api_error")
    assert REQUEST_ID in error["message"]
    assert (response.headers["x-request-id"], response.headers["x-should-retry"]) == (REQUEST_ID, "false")


def test_every_error_has_a_code_of_its_own() -> None:
    """A program can tell them apart; only those that say no more than "invalid" share a code."""
    codes = [error.code for error in all_errors() if error.code != BadRequest.code]

    assert len(codes) > 20
    assert sorted(codes) == sorted(set(codes))
    assert all(re.fullmatch(r"[a-z][a-z_]*[a-z]", code) for code in codes)
