"""The edge of a process: whatever a function does, the caller gets a response and the log one line."""

import re
import time
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from shared.base.errors import CredenceError
from shared.base.ids import RequestId, new_request_id
from shared.base.log import Severity, Value, request_fields, write_line
from shared.web.crash import write_crash
from shared.web.errors import crash_response, error_response

_TRACE = re.compile(r"[0-9a-f]{32}")


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


def _trace(request: Request) -> dict[str, Value]:
    """The trace that Cloud Logging joins lines by, when the load balancer sent one."""
    trace, _, _ = request.headers.get("x-cloud-trace-context", "").partition("/")
    return {"logging.googleapis.com/trace": trace} if _TRACE.fullmatch(trace) else {}
