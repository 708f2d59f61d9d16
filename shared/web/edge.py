"""The edge of a process: whatever a function does, the caller gets a response and the log one line."""

import re
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar, cast

from starlette.requests import Request
from starlette.responses import Response

from shared.base.errors import CredenceError
from shared.base.ids import RequestId, new_request_id
from shared.base.log import Severity, Value, request_fields, write_line
from shared.web.crash import write_crash
from shared.web.errors import crash_response, error_response

_TRACE = re.compile(r"[0-9a-f]{32}")


class Named(Protocol):
    """What is known of every function's contract here."""

    @property
    def name(self) -> str: ...


Contract = TypeVar("Contract", bound=Named)


class Served(Protocol[Contract]):
    """A function as a process serves it: call it with a request. `contract` says what it promises."""

    contract: Contract
    __name__: str

    async def __call__(self, request: Request) -> Response: ...


async def serve_logged(name: str, request: Request, answer: Callable[[RequestId], Awaitable[Response]]) -> Response:
    """Serve one request of the function `name` and write its line. Raises nothing."""
    started_s = time.monotonic()
    request_id = new_request_id()
    request_fields.set({"request_id": request_id, "function": name, **_trace(request)})
    severity: Severity = "INFO"
    code: str | None = None
    try:
        response = await answer(request_id)
    except CredenceError as error:
        response, code = error_response(error, request_id), error.code
    except Exception as error:  # noqa: BLE001 - the edge: a defect answers 500 with an id and is told in full to the log
        response, code, severity = crash_response(request_id), type(error).__name__, "ERROR"
        write_crash(error)
    duration_ms = round((time.monotonic() - started_s) * 1000, 1)
    write_line(severity, "request", status=response.status_code, code=code, duration_ms=duration_ms)
    return response


def served(contract: Contract, answer: Callable[[Request, RequestId], Awaitable[Response]]) -> Served[Contract]:
    """The function of a contract, whose requests are answered so and logged."""

    async def serve(request: Request) -> Response:
        return await serve_logged(contract.name, request, lambda request_id: answer(request, request_id))

    return carrying(contract, serve)


def carrying(contract: Contract, serve: Callable[[Request], Awaitable[Response]]) -> Served[Contract]:
    """The coroutine under the contract's name, with the contract on it: what a server calls, and the checks read."""
    function = cast(Served[Contract], serve)
    function.__name__ = function.__qualname__ = contract.name  # type: ignore[attr-defined]
    function.contract = contract
    return function


def summary_of(handler: Callable[..., Any]) -> str:
    """What the handler's file says of it in its first line."""
    return (handler.__globals__["__doc__"] or "").strip().split("\n")[0]


def _trace(request: Request) -> dict[str, Value]:
    """The trace that Cloud Logging joins lines by, when the load balancer sent one."""
    trace, _, _ = request.headers.get("x-cloud-trace-context", "").partition("/")
    return {"logging.googleapis.com/trace": trace} if _TRACE.fullmatch(trace) else {}
