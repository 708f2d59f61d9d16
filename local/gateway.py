"""Serves every function of the manifest at its route, in one process, behind the production wrappers.

In the cloud a load balancer's URL map does this, one service per function. Run by local/deployment.py, which passes
the port and the file with the certificates that stand for Google's.
"""

import os
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from local.manifest import FunctionRow, read_manifest
from local.process import HOST
from shared.base.garbage import collect_rarely, keep_loaded
from shared.base.ids import new_request_id
from shared.base.settings import Settings, SettingsWrong
from shared.web.cors import show_to_pages
from shared.web.errors import MethodWrong, PathUnknown, error_response
from shared.web.openapi import openapi_document

READY_PATH = "/_ready"
CERTIFICATES_PATH = "/_local/certificates"
OPENAPI_PATH = "/openapi.json"
_NOT_OURS = frozenset({"HEAD", "OPTIONS"})
"""Routed, but answered by no function: what a router adds to GET, and what browsers ask before a call."""


class UrlMap:
    """Finds a function by method and whole path, as a load balancer does; anything else is left to a router.

    A router tries one pattern after the other, and wraps what it finds in layers that a function has no use for: it
    answers whatever happens.
    """

    def __init__(self, rows: Iterable[FunctionRow], otherwise: ASGIApp) -> None:
        self._functions = {(row.method, row.path): _load(row) for row in rows}
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        function = self._functions.get((scope.get("method"), scope.get("path")))
        if function is None:
            await self._otherwise(scope, receive, send)
            return
        response = await function(Request(scope, receive, send))
        await response(scope, receive, send)


def build_gateway(certificates: str) -> ASGIApp:
    """The gateway as an ASGI app. `certificates` is published for the tokens of the local issuer."""
    document = build_document()

    async def ready(request: Request) -> Response:
        return PlainTextResponse("ready")

    async def publish_certificates(request: Request) -> Response:
        return PlainTextResponse(certificates, media_type="application/json")

    async def openapi(request: Request) -> Response:
        return JSONResponse(document)

    rows = list(read_manifest())
    router = Starlette(
        routes=[
            *(_route(row) for row in rows),
            Route(READY_PATH, ready),
            Route(CERTIFICATES_PATH, publish_certificates),
            Route(OPENAPI_PATH, openapi),
        ],
        exception_handlers={404: _answer_404, 405: _answer_405},
    )
    # The load balancer's URL map redirects nothing either.
    router.router.redirect_slashes = False
    return UrlMap((row for row in rows if "{" not in row.path), router)


def build_document() -> dict[str, Any]:
    """The OpenAPI document of all routes in the manifest."""
    return openapi_document((row.path, _load(row)) for row in read_manifest() if row.trigger.http)


def _route(row: FunctionRow) -> Route:
    """The load balancer's last wildcard takes the rest of a path; a router's only where it is told to."""
    function = _load(row)
    name = getattr(function.contract, "path_param", None)
    prefixed = getattr(function.contract, "path_prefix", None)
    path = row.path.replace(f"{{{name}}}", f"{{{name}:path}}") if prefixed else row.path
    return Route(path, function, methods=[row.method, "OPTIONS"])


def _load(row: FunctionRow) -> Any:
    """The served function of a row, whichever its trigger is."""
    function: Any = getattr(import_module(f"functions.{row.name}"), row.name)
    return function


async def _answer_404(request: Request, error: Exception) -> Response:
    return show_to_pages(error_response(PathUnknown(), new_request_id()))


async def _answer_405(request: Request, error: Exception) -> Response:
    # The router names the methods of one route only, and a path may have two.
    routed = [route for route in request.app.routes if isinstance(route, Route)]
    matching = [route.methods or set() for route in routed if route.matches(request.scope)[0] is not Match.NONE]
    methods = ", ".join(sorted(set().union(*matching) - _NOT_OURS)) or "another method"
    return show_to_pages(error_response(MethodWrong(methods), new_request_id()))


if __name__ == "__main__":
    collect_rarely()
    port, certificates_file = sys.argv[1:]
    try:
        Settings.from_environment(os.environ)
    except SettingsWrong as error:
        sys.exit(f"These settings cannot be used: {error}")
    gateway = build_gateway(Path(certificates_file).read_text(encoding="utf-8"))
    keep_loaded()
    uvicorn.run(
        gateway,
        host=HOST,
        port=int(port),
        log_level="warning",
        access_log=False,
        # Who called is read by the functions themselves.
        proxy_headers=False,
    )
