"""A stream is relayed as it comes, and its source is closed once, however it ends."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from starlette.responses import Response
from starlette.types import Message

from shared.app import App
from shared.base.body import Empty
from shared.web.auth import Caller
from shared.web.function import HttpFunction, http_function
from shared.web.sse import EventStreamResponse
from tests.web.conftest import Lines
from tests.web.server import REPLY_DEADLINE_S, request_head, serve

SECRET = "sk-what-the-user-said"
FOREVER_S = 600.0
Script = Callable[["Source"], AsyncIterator[bytes]]


class Source:
    """Tells the events of a script, and remembers what was done to it."""

    def __init__(self, script: Script, on_close: Callable[[], Awaitable[None]] | None = None) -> None:
        self._script = script
        self._on_close = on_close
        self.told = 0
        self.closes = 0
        self.closed = asyncio.Event()
        self.go_on = asyncio.Event()

    async def events(self) -> AsyncIterator[bytes]:
        async for event in self._script(self):
            self.told += 1
            yield event

    async def close(self) -> None:
        self.closes += 1
        self.closed.set()
        if self._on_close is not None:
            await self._on_close()

    async def wait_closed(self) -> None:
        async with asyncio.timeout(REPLY_DEADLINE_S):
            await self.closed.wait()


def streaming(source: Source) -> HttpFunction:
    """A function that answers with the source."""

    @http_function(auth="none", streams=True)
    async def stream(body: Empty, caller: Caller, app: App) -> Response:
        return EventStreamResponse(source, {"x-model": "a-model"})

    return stream


async def two_events(source: Source) -> AsyncIterator[bytes]:
    yield b"data: 1\n\n"
    yield b"data: [DONE]\n\n"


async def endless(source: Source) -> AsyncIterator[bytes]:
    while True:
        yield b"data: more\n\n"
        await asyncio.sleep(0.01)


async def one_and_then_silence(source: Source) -> AsyncIterator[bytes]:
    yield b"data: 1\n\n"
    await source.go_on.wait()
    yield b"data: 2\n\n"
    await asyncio.sleep(FOREVER_S)


def breaks_with(error: BaseException) -> Script:
    """One event, and then a defect."""

    async def script(source: Source) -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        raise error

    return script


async def test_events_arrive_as_they_were_told() -> None:
    """With the headers that keep proxies from collecting them."""
    source = Source(two_events)

    async with serve(streaming(source)) as site:
        reply = await site.ask("POST", "/stream")

    assert reply.body == b"data: 1\n\ndata: [DONE]\n\n"
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-accel-buffering"] == "no"
    assert reply.headers["x-model"] == "a-model"
    assert reply.headers["x-request-id"].startswith("req_")
    assert "content-length" not in reply.headers
    assert source.closes == 1


async def test_an_event_is_not_kept_until_the_next() -> None:
    """The first one is there while the source still thinks about the second."""
    source = Source(one_and_then_silence)

    async with serve(streaming(source)) as site:
        reader, writer = await site.connect()
        writer.write(request_head("POST", "/stream", {"content-length": "0"}))
        async with asyncio.timeout(REPLY_DEADLINE_S):
            await reader.readuntil(b"data: 1\n\n")
        assert source.told == 1
        writer.close()
        await asyncio.sleep(0.2)
        source.go_on.set()
        await source.wait_closed()


async def test_the_source_is_closed_before_the_stream_ends() -> None:
    """Whatever closing settles is settled when the client sees the end: afterwards the process may be stopped."""
    may_close = asyncio.Event()

    async def settle() -> None:
        await may_close.wait()

    source = Source(two_events, settle)
    async with serve(streaming(source)) as site:
        asking = asyncio.create_task(site.ask("POST", "/stream"))
        await source.wait_closed()
        await asyncio.sleep(0.1)
        assert not asking.done()
        may_close.set()
        assert (await asking).body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("abruptly", [False, True])
async def test_a_client_that_vanishes_closes_the_source_once(abruptly: bool) -> None:
    """At the next event, whether the connection was closed or broken off."""
    source = Source(endless)

    async with serve(streaming(source)) as site:
        reader, writer = await site.connect()
        writer.write(request_head("POST", "/stream", {"content-length": "0"}))
        async with asyncio.timeout(REPLY_DEADLINE_S):
            await reader.readuntil(b"data: more\n\n")
        if abruptly:
            writer.transport.abort()
        else:
            writer.close()
        await source.wait_closed()
        told = source.told
        await asyncio.sleep(0.1)

    assert (source.closes, source.told) == (1, told)


async def test_a_source_is_not_interrupted_when_its_client_vanishes() -> None:
    """It is in the middle of a read that its `close` may want to go on with."""
    source = Source(one_and_then_silence)

    async with serve(streaming(source)) as site:
        reader, writer = await site.connect()
        writer.write(request_head("POST", "/stream", {"content-length": "0"}))
        async with asyncio.timeout(REPLY_DEADLINE_S):
            await reader.readuntil(b"data: 1\n\n")
        writer.close()
        await asyncio.sleep(0.2)
        assert source.closes == 0
        source.go_on.set()
        await source.wait_closed()

    assert (source.closes, source.told) == (1, 2)


async def test_a_client_that_sends_more_has_not_left() -> None:
    """A body that goes on, or a second request, is no good-bye."""
    source = Source(two_events)

    async with serve(streaming(source)) as site:
        reply = await site.ask("POST", "/stream", b"{}")

    assert reply.body.endswith(b"data: [DONE]\n\n")
    assert source.closes == 1


@pytest.mark.parametrize("error", [RuntimeError(SECRET), OSError(SECRET), ValueError(SECRET), TimeoutError(SECRET)])
async def test_a_defect_of_the_source_is_told_as_an_event(
    error: Exception, log_lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    """The status is out already, so the error comes as OpenAI's clients expect it, and says nothing of the inside."""
    source = Source(breaks_with(error))

    async with serve(streaming(source)) as site:
        reply = await site.ask("POST", "/stream")

    first, failure, rest = reply.body.split(b"\n\n")
    assert (first, rest) == (b"data: 1", b"")
    assert failure.startswith(b'data: {"error":{')
    assert reply.headers["x-request-id"] in failure.decode()
    assert source.closes == 1
    crash = next(line for line in log_lines() if line["message"] == "crash")
    assert (crash["severity"], crash["error"]) == ("ERROR", type(error).__name__)
    assert crash["request_id"] == reply.headers["x-request-id"]
    assert "script (test_sse.py:" in crash["stack"]
    assert SECRET not in reply.body.decode() + str(crash) + caplog.text


async def test_a_source_that_cannot_be_closed_is_logged_without_its_message(
    log_lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    """What was sent was good; the failure is ours to find."""

    async def fail() -> None:
        raise RuntimeError(SECRET)

    source = Source(two_events, fail)
    async with serve(streaming(source)) as site:
        reply = await site.ask("POST", "/stream")

    assert reply.body == b"data: 1\n\ndata: [DONE]\n\n"
    crashes = [line for line in log_lines() if line["message"] == "crash"]
    assert [crash["error"] for crash in crashes] == ["RuntimeError"]
    assert SECRET not in str(crashes) + caplog.text


async def test_a_stopping_server_closes_the_source(caplog: pytest.LogCaptureFixture) -> None:
    """A stream that outlasts the grace period is cancelled, and settled all the same."""
    settled: list[Any] = []

    async def settle() -> None:
        await asyncio.sleep(0.05)
        settled.append(True)

    source = Source(one_and_then_silence, settle)
    with caplog.at_level(logging.CRITICAL):
        async with serve(streaming(source)) as site:
            reader, writer = await site.connect()
            writer.write(request_head("POST", "/stream", {"content-length": "0"}))
            async with asyncio.timeout(REPLY_DEADLINE_S):
                await reader.readuntil(b"data: 1\n\n")
            site.stop()
            await source.wait_closed()
            await asyncio.sleep(0.2)
            writer.close()

    assert (source.closes, settled) == (1, [True])


async def flood(source: Source) -> AsyncIterator[bytes]:
    while True:
        yield b"data: more\n\n"


async def _stays() -> Message:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def test_a_client_that_stops_reading_is_given_up_in_time() -> None:
    """Whether its connection waits at once or only after some events."""
    source = Source(flood)

    async def send(message: Message) -> None:
        if message.get("body") and source.told == 3:
            await asyncio.Event().wait()
        elif source.told == 2:
            # A connection that waits and then goes on is no reason to stop.
            await asyncio.sleep(0.001)

    response = EventStreamResponse(source, {"x-request-id": "req_1"}, send_timeout_s=0.05)
    async with asyncio.timeout(REPLY_DEADLINE_S):
        await response({"type": "http"}, _stays, send)

    assert (source.told, source.closes) == (3, 1)


async def test_a_connection_that_breaks_while_a_send_waits_ends_the_stream() -> None:
    """As one that breaks at once does."""
    source = Source(flood)

    async def send(message: Message) -> None:
        if message.get("body"):
            await asyncio.sleep(0.001)
            raise OSError("broken pipe")

    async with asyncio.timeout(REPLY_DEADLINE_S):
        await EventStreamResponse(source, {"x-request-id": "req_1"})({"type": "http"}, _stays, send)

    assert (source.told, source.closes) == (1, 1)
