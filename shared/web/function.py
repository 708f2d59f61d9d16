"""What every HTTP function is wrapped in: request id, caller, limits, validation, errors, one log line.

A function file declares its contract and one handler; `http_function` turns it into the plain coroutine that
functions-framework and the local gateway both serve.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from shared.app import App, current_app
from shared.base.ahead import import_ahead
from shared.base.body import Empty, Raw
from shared.base.ids import RequestId
from shared.web.auth import Auth, Caller, authenticate
from shared.web.body import BODY_BYTES_MAX, read_body, read_bytes
from shared.web.cors import is_preflight, preflight_response, show_to_pages
from shared.web.edge import Served, carrying, serve_logged, summary_of
from shared.web.errors import MethodWrong
from shared.web.leaving import client_left
from shared.web.path import path_parameters, read_query, read_raw_query

ROUTE_HEADER = "x-credence-route"
"""Asked: cheapest, fastest, best, or providers with commas between. Answered: who was tried, and what came of it."""
PAYMENT_HEADER = "payment-signature"
"""x402, version 2: asked with a payment, after an answer of 402 whose PAYMENT-REQUIRED has said the price."""
Method = Literal["GET", "POST"]
Handler = Callable[[Any, Caller, App], Awaitable[Struct | Response]]
"""The first argument is the contract's own `body`, which no type can say of a decorator's argument."""


class Contract(Struct, frozen=True):
    """All that a function promises; the OpenAPI document and the manifest's checks are made from it."""

    name: str
    method: Method
    auth: Auth
    scope: str | None
    body: type[Struct]
    body_bytes_max: int
    path_param: str | None
    path_prefix: str | None
    path_suffix: str | None
    raw_query: str | None
    answer: type[Struct] | None
    summary: str
    streams: bool
    routes: bool
    media_types: tuple[str, ...]
    form: bool
    imports_ahead: str | None
    pays: bool
    pends: bool


HttpFunction = Served[Contract]


def http_function(
    *,
    auth: Auth,
    scope: str | None = None,
    method: Method = "POST",
    body: type[Struct] = Empty,
    body_bytes_max: int = BODY_BYTES_MAX,
    path_param: str | None = None,
    path_prefix: str | None = None,
    path_suffix: str | None = None,
    raw_query: str | None = None,
    answer: type[Struct] | None = None,
    streams: bool = False,
    routes: bool = False,
    media_types: tuple[str, ...] = ("application/json",),
    form: bool = False,
    imports_ahead: str | None = None,
    pays: bool = False,
    pends: bool = False,
) -> Callable[[Handler], HttpFunction]:
    """Wrap a handler. `scope` is what a service must be allowed; `path_param` names the field that the last segment
    of the path fills, or the last before `path_suffix`, or with `path_prefix` all that follows that, slashes included;
    `raw_query` names the field that a GET's whole query fills, undecoded, for a query that is signed as it stands;
    `answer` is the shape of a 200, where the handler does not build the response itself, and `media_types` what that
    may be; `form` says that the body is a form with a file instead of JSON; `routes` is for what calls models: its
    caller may say which provider it prefers, which the handler then reads from the caller; `imports_ahead` names a slow
    module that the first request imports while its caller is checked; `pays` is for what x402 pays for, whose payment
    the handler reads from the caller; `pends` says that the answer may be a 202, for what is not decided yet.
    """

    def wrap(handler: Handler) -> HttpFunction:
        contract = Contract(
            name=handler.__name__,
            method=method,
            auth=auth,
            scope=scope,
            body=body,
            body_bytes_max=body_bytes_max,
            path_param=path_param,
            path_prefix=path_prefix,
            path_suffix=path_suffix,
            raw_query=raw_query,
            answer=answer,
            summary=summary_of(handler),
            streams=streams,
            routes=routes,
            media_types=media_types,
            form=form,
            imports_ahead=imports_ahead,
            pays=pays,
            pends=pends,
        )

        async def serve(request: Request) -> Response:
            return await _serve(contract, handler, request)

        return carrying(contract, serve)

    return wrap


async def _serve(contract: Contract, handler: Handler, request: Request) -> Response:
    if is_preflight(request):
        return preflight_response(request, contract.method)
    response = await serve_logged(
        contract.name, request, lambda request_id: _answer(contract, handler, request, request_id)
    )
    return show_to_pages(response)


async def _answer(contract: Contract, handler: Handler, request: Request, request_id: RequestId) -> Response:
    if request.method != contract.method:
        raise MethodWrong(contract.method)
    app = current_app()
    if contract.imports_ahead is not None:
        import_ahead(contract.imports_ahead)
    # A cold process reads what it must know of prices while the caller is checked; a warm one knows it.
    preparing = app.prepare_call() if contract.routes else None
    try:
        caller = await _caller(contract, request, app, request_id)
        given = await _given(contract, request)
    except BaseException:
        # Whoever is refused leaves no read under way.
        if preparing:
            preparing.cancel()
        raise
    answer = await handler(given, caller, app)
    if isinstance(answer, Response):
        answer.headers["x-request-id"] = request_id
        return answer
    return Response(
        msgspec.json.encode(answer),
        media_type="application/json",
        headers={"x-request-id": request_id, "cache-control": "no-store"},
    )


async def _caller(contract: Contract, request: Request, app: App, request_id: RequestId) -> Caller:
    """Who calls, with what the contract wants known of the request beside its body. Raise what `authenticate` does."""
    caller = await authenticate(request, app, request_id, contract.auth, contract.scope)
    if contract.routes:
        left = partial(client_left, request.receive)
        caller = replace(caller, route_asked=request.headers.get(ROUTE_HEADER), left=left)
    if len(contract.media_types) > 1:
        caller = replace(caller, accepts=request.headers.get("accept", ""))
    if contract.pays:
        caller = replace(caller, payment=request.headers.get(PAYMENT_HEADER))
    return caller


async def _given(contract: Contract, request: Request) -> Struct:
    """What the request says, in the contract's own shape. Raise BodyTooLarge or BadRequest."""
    parameters = path_parameters(request, contract.path_param, contract.path_prefix, contract.path_suffix)
    if contract.raw_query is not None:
        return read_raw_query(request, contract.body, contract.raw_query)
    if contract.method == "GET":
        return read_query(request, contract.body, parameters)
    if contract.body is Raw:
        return Raw(await read_bytes(request, bytes_max=contract.body_bytes_max), dict(request.headers))
    if contract.form:
        # Loaded by the one function that takes a form.
        from shared.web.form import read_form

        return await read_form(request, contract.body, bytes_max=contract.body_bytes_max)
    return await read_body(request, contract.body, bytes_max=contract.body_bytes_max, parameters=parameters)
