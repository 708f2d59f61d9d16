"""The edge of a process: whatever a function does, the caller gets a response and the log one line."""

import re
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

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


def served(
    contract: Named, answer: Callable[[Request, RequestId], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    """The coroutine that a process serves under the contract's name, and that carries the contract."""

    async def serve(request: Request) -> Response:
        return await serve_logged(contract.name, request, lambda request_id: answer(request, request_id))

    serve.__name__ = serve.__qualname__ = contract.name
    serve.contract = contract  # type: ignore[attr-defined]
    return serve


def summary_of(handler: Callable[..., Any]) -> str:
    """What the handler's file says of it in its first line."""
    return (handler.__globals__["__doc__"] or "").strip().split("\n")[0]


def _trace(request: Request) -> dict[str, Value]:
    """The trace that Cloud Logging joins lines by, when the load balancer sent one."""
    trace, _, _ = request.headers.get("x-cloud-trace-context", "").partition("/")
    return {"logging.googleapis.com/trace": trace} if _TRACE.fullmatch(trace) else {}
