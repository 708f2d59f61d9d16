"""A provider on a free port that answers as scripted, in OpenAI's wire format or another, and remembers what it was
asked.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from shared.base.secret import Secret
from shared.providers.models import DisconnectPolicy, Provider, Wire

HOST = "127.0.0.1"
KEY = "sk-fake-0123456789-do-not-tell"
"""What must never be seen outside of a request to the provider itself."""

Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as the provider got it."""

    path: str
    headers: Mapping[str, str]
    payload: dict[str, Any]


@dataclass
class FakeProvider:
    """Replies are taken off in order; one too many requests is answered 599."""

    name: str
    url: str = ""
    policy: DisconnectPolicy = DisconnectPolicy.ESTIMATE
    whole_policy: DisconnectPolicy = DisconnectPolicy.DRAIN
    wire: Wire = Wire.OPENAI
    """What our side takes it for; what it says is scripted."""
    replies: deque[Reply] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)
    written: int = 0
    """Streams that were written to their end."""

    @property
    def provider(self) -> Provider:
        """What our side knows of it."""
        url = f"{self.url}beta" if self.wire is Wire.GOOGLE else self.url
        key = Secret(f"{KEY}-{self.name}")
        return Provider(self.name, url, key, self.policy, wire=self.wire, disconnect_whole=self.whole_policy)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        multipart = request.content_type == "multipart/form-data"
        payload = await _form(request) if multipart else await request.json() if request.can_read_body else {}
        self.asked.append(Asked(request.path_qs, dict(request.headers), payload))
        reply = self.replies.popleft() if self.replies else refuse(599, "unscripted")
        response = await reply(request)
        self.written += 1
        return response


@asynccontextmanager
async def serve_provider(name: str) -> AsyncIterator[FakeProvider]:
    """A provider while the block lasts."""
    fake = FakeProvider(name)
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", fake.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, 0)
        await site.start()
        fake.url = f"http://{HOST}:{runner.addresses[0][1]}/v1"
        yield fake
    finally:
        await runner.cleanup()


# What it says.


def usage(prompt_tokens: object = 10, completion_tokens: object = 20) -> dict[str, Any]:
    """A usage as OpenAI states it."""
    return {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": 30}


def completion(content: object = "Hello.", *, usage: object = None, **message: object) -> dict[str, Any]:
    """A whole answer."""
    said = {"role": "assistant", "content": content, "refusal": None, **message}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "upstream/model",
        "choices": [{"index": 0, "message": said, "finish_reason": "stop", "logprobs": None}],
    }
    return body if usage is None else {**body, "usage": usage}


def chunk(content: str | None = None, *, finish: str | None = None, index: int = 0, **delta: object) -> dict[str, Any]:
    """One chunk of a streamed answer."""
    said = delta if content is None else {"content": content, **delta}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "upstream/model",
        "choices": [{"index": index, "delta": said, "finish_reason": finish}],
    }


def usage_chunk(*counts: object) -> dict[str, Any]:
    """The last chunk of a stream whose usage was asked for."""
    return {**chunk(), "choices": [], "usage": usage(*counts)}


DONE = b"data: [DONE]\n\n"
WORDS = ("He", "llo", ", wor", "ld.")


def event(data: object) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def hello() -> list[bytes]:
    """A well-behaved stream: a role, four words, an end, a usage, `[DONE]`."""
    said = [chunk("", role="assistant"), *map(chunk, WORDS), chunk(finish="stop"), usage_chunk()]
    return [*map(event, said), DONE]


# How it says it.


def whole(body: object, status: int = 200) -> Reply:
    """An answer in one piece; bytes are sent as they are."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def reply(_: web.Request) -> web.StreamResponse:
        return web.Response(body=raw, status=status, content_type="application/json")

    return reply


def stream(*pieces: bytes, content_type: str = "text/event-stream") -> Reply:
    """A stream of these pieces, ended in order."""

    async def reply(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": content_type})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        await response.write_eof()
        return response

    return reply


def cut(*pieces: bytes) -> Reply:
    """A stream whose connection breaks after these pieces."""

    async def reply(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        assert request.transport is not None
        request.transport.close()
        return response

    return reply


def hang(*pieces: bytes) -> Reply:
    """A stream that falls silent after these pieces and stays so until the caller leaves."""

    async def reply(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        await _until_left(request)
        return response

    return reply


async def mute(request: web.Request) -> web.StreamResponse:
    """Take the request and never answer."""
    await _until_left(request)
    return web.Response()


def refuse(status: int, message: object = "no", headers: Mapping[str, str] | None = None) -> Reply:
    """A refusal in OpenAI's form, or the bytes given."""
    error = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}
    raw = message if isinstance(message, bytes) else json.dumps(error).encode()

    async def reply(_: web.Request) -> web.StreamResponse:
        return web.Response(body=raw, status=status, headers=headers)

    return reply


async def drop(request: web.Request) -> web.StreamResponse:
    """Hang up without a word."""
    assert request.transport is not None
    request.transport.close()
    return web.Response()


def after(seconds: float, reply: Reply) -> Reply:
    """The reply, once so much time has passed."""

    async def replied(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await reply(request)

    return replied


async def _form(request: web.Request) -> dict[str, Any]:
    """A form's fields, each with all that was sent under its name; a file as its name, media type and content."""
    fields: dict[str, Any] = {}
    for name, value in (await request.post()).items():
        if isinstance(value, web.FileField):
            fields[name] = (value.filename, value.content_type, value.file.read())
        else:
            fields.setdefault(name, []).append(value)
    return fields


async def _until_left(request: web.Request) -> None:
    while request.transport is not None and not request.transport.is_closing():
        await asyncio.sleep(0.01)
