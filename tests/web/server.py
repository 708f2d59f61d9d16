"""Functions of a test's own on a real server, and clients that misbehave on purpose."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from local.process import HOST
from shared.web.function import HttpFunction

REPLY_DEADLINE_S = 20.0
"""A reply takes milliseconds; a machine that is busy must not fail a test."""
METHODS = ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"]
"""As functions-framework has it: every method of every path reaches the function."""


@dataclass(frozen=True)
class Reply:
    """What came back, as it was on the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body of an answer or refusal."""
        value: dict[str, Any] = json.loads(self.body)
        return value

    @property
    def error(self) -> dict[str, Any]:
        """The error object of a refusal."""
        value: dict[str, Any] = self.json["error"]
        return value


@dataclass(frozen=True)
class Site:
    """A running server. `stop` begins its shutdown; requests under way are cancelled after `grace_s`."""

    port: int
    stop: Callable[[], None]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A bare connection."""
        return await asyncio.open_connection(HOST, self.port)

    async def send(self, *pieces: bytes, half_close: bool = False) -> Reply:
        """Send bytes as they are, and read until the server closes."""
        reader, writer = await self.connect()
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            if half_close:
                writer.write_eof()
            async with asyncio.timeout(REPLY_DEADLINE_S):
                return _parse(await reader.read())
        finally:
            writer.close()

    async def ask(self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """One well-formed request on a connection of its own."""
        return await self.send(
            request_head(method, target, {"content-length": str(len(body)), **(headers or {})}), body
        )

    async def post(self, target: str, value: object, headers: Mapping[str, str] | None = None) -> Reply:
        """Post a value as JSON."""
        return await self.ask("POST", target, json.dumps(value).encode(), headers)


def request_head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """The head of a request on a connection that ends with its reply."""
    lines = [f"{method} {target} HTTP/1.1", f"host: {HOST}", "connection: close"]
    return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode("latin-1")


@asynccontextmanager
async def serve(*functions: HttpFunction, grace_s: int = 1) -> AsyncIterator[Site]:
    """Serve each function below `/its_name`, until the block ends."""
    routes = [Route(f"/{one.__name__}{{rest:path}}", one, methods=METHODS) for one in functions]
    with socket.create_server((HOST, 0)) as listener:
        config = uvicorn.Config(
            Starlette(routes=routes),
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=grace_s,
        )
        server = _PromptServer(config)
        serving = asyncio.create_task(server.serve([listener]))
        try:
            yield Site(listener.getsockname()[1], server.ending.set)
        finally:
            server.ending.set()
            await serving


class _PromptServer(uvicorn.Server):
    """The real server, but told to end instead of looking ten times a second, and idle it ends at once."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ending = asyncio.Event()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.ending.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
        for server in self.servers:
            server.close()


def _parse(raw: bytes) -> Reply:
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = _joined(body)
    return Reply(int(status.split()[1]), headers, body)


def _joined(body: bytes) -> bytes:
    """The pieces of a chunked body; one that breaks off must be read with `Site.connect`."""
    whole = b""
    while True:
        size, _, rest = body.partition(b"\r\n")
        if int(size, 16) == 0:
            return whole
        whole, body = whole + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
