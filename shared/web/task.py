"""What every task function is wrapped in: caller, body, acknowledge or retry, one log line.

Cloud Tasks delivers a task at least once, and again until a 2xx answers it; an attempt that it gave up waiting for may
still be running beside the next one. So a handler must be free to repeat, at the same time too. What is acknowledged is
in `delivery.py`; all else is answered as an error.
"""

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, ClassVar

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from shared.app import App
from shared.base.ahead import import_ahead
from shared.base.errors import CredenceError, Kind
from shared.base.ids import RequestId
from shared.base.log import add_request_fields, write_line
from shared.tasks.rules import TASK_BYTES_MAX
from shared.web.auth import Auth
from shared.web.body import read_body
from shared.web.delivery import acknowledged, admitted
from shared.web.edge import Served, served, summary_of
from shared.web.errors import error_response

SCOPE = "task"
"""What the service account that tasks carry the token of must be allowed."""
TOO_EARLY = 425
"""What one account or one job is too busy for is tried again. A 429 or 503 would slow the whole queue down, and every
other job in it."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,500}")
_COUNT = re.compile(r"[0-9]{1,9}")


class Delivered(Struct, frozen=True):
    """How a task came. The queue says so in headers: for the log, and for nothing that must be true."""

    task_id: str
    retries: int
    """How often it was delivered before."""


Handler = Callable[[Any, App], Awaitable[None]]
"""The first argument is the contract's own `body`, which no type can say of a decorator's argument."""


class TaskContract(Struct, frozen=True):
    """All that a task function promises; the manifest is checked against it."""

    method: ClassVar[str] = "POST"
    auth: ClassVar[Auth] = "service"
    scope: ClassVar[str] = SCOPE
    body_bytes_max: ClassVar[int] = TASK_BYTES_MAX

    name: str
    body: type[Struct]
    summary: str
    imports_ahead: str | None


TaskFunction = Served[TaskContract]


def task_function(*, body: type[Struct], imports_ahead: str | None = None) -> Callable[[Handler], TaskFunction]:
    """Wrap a handler of tasks whose payload is a `body`.

    `imports_ahead` names a slow module that the first task imports while its caller is checked.
    """

    def wrap(handler: Handler) -> TaskFunction:
        contract = TaskContract(handler.__name__, body, summary_of(handler), imports_ahead)
        return served(contract, partial(_answer, contract, handler))

    return wrap


async def _answer(contract: TaskContract, handler: Handler, request: Request, request_id: RequestId) -> Response:
    if contract.imports_ahead is not None:
        import_ahead(contract.imports_ahead)
    app = await admitted(contract, request, request_id)
    delivered = delivered_as(request)
    add_request_fields(task=delivered.task_id, retries=delivered.retries)
    try:
        return await acknowledged(_work(contract, handler, request, app), request_id, dropped="task_dropped")
    except CredenceError as refusal:
        return _try_again(refusal, request_id)


async def _work(contract: TaskContract, handler: Handler, request: Request, app: App) -> None:
    await handler(await read_body(request, contract.body, bytes_max=contract.body_bytes_max), app)


def delivered_as(request: Request) -> Delivered:
    """What the queue says of this delivery. Whatever has another form than the queue's is left out."""
    task_id = request.headers.get("x-cloudtasks-taskname", "")
    retries = request.headers.get("x-cloudtasks-taskretrycount", "")
    return Delivered(task_id if _NAME.fullmatch(task_id) else "", int(retries) if _COUNT.fullmatch(retries) else 0)


def _try_again(refusal: CredenceError, request_id: RequestId) -> Response:
    write_line("WARNING", "task_refused", code=refusal.code)
    response = error_response(refusal, request_id)
    if refusal.kind is Kind.BUSY:
        response.status_code = TOO_EARLY
    return response
