"""Sends a stream of events, and always closes what it came from, whether or not the client stayed."""

import asyncio
import json
from collections.abc import AsyncIterator, Generator, Mapping
from typing import Protocol

from starlette.background import BackgroundTask
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from shared.base.ids import RequestId
from shared.web.crash import write_crash
from shared.web.errors import crash_body
from shared.web.leaving import client_left

SEND_TIMEOUT_S = 30.0
"""How long a client may leave one event unread. One that reads no more holds a call open, and its credits."""
RELAY_TIMEOUT_S = 290.0
"""How long a stream may take in all, however its client reads: less than the function's own limit, and far less than
a hold lives."""


class EventSource(Protocol):
    """Something that tells events and must be closed afterwards."""

    def events(self) -> AsyncIterator[bytes]:
        """The events, each with its blank line."""

    async def close(self) -> None:
        """Settle and let go. Called once, however the stream ended."""


class EventStreamResponse(Response):
    """Relays an EventSource.

    When the client leaves we notice at the next event and stop; the source is not cancelled in the middle of a read,
    because its `close` may want to read on. `close` runs before the stream's end is sent, so before the request counts
    as finished. A defect of the source becomes an error event, because the status has long been sent.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        source: EventSource,
        headers: Mapping[str, str],
        *,
        send_timeout_s: float = SEND_TIMEOUT_S,
        relay_timeout_s: float = RELAY_TIMEOUT_S,
    ) -> None:
        super().__init__(None, headers={"cache-control": "no-store", "x-accel-buffering": "no", **headers})
        del self.headers["content-length"]
        self._source = source
        self._send_timeout_s = send_timeout_s
        self._relay_timeout_s = relay_timeout_s
        self.background: BackgroundTask | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = asyncio.ensure_future(client_left(receive))
        try:
            start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            if await _delivered(send, start):
                await self._relay(send, left)
        finally:
            left.cancel()
            await self._close()
        await _delivered(send, {"type": "http.response.body", "body": b"", "more_body": False})

    async def _relay(self, send: Send, left: "asyncio.Future[None]") -> None:
        """Send events until they end, the client is gone, or the source fails."""
        # Let the watcher look once: whoever left while the provider was thinking is sent nothing, and pays nothing.
        await asyncio.sleep(0)
        if left.done():
            return
        ends_at_s = asyncio.get_running_loop().time() + self._relay_timeout_s
        try:
            async for event in self._source.events():
                if not await _delivered(send, _piece(event), self._send_timeout_s) or left.done():
                    return
                if asyncio.get_running_loop().time() > ends_at_s:
                    return
        except Exception as error:  # noqa: BLE001 - the edge: a defect is told as an event, and in full to the log
            write_crash(error)
            body = crash_body(RequestId(self.headers["x-request-id"]))
            await _delivered(send, _piece(b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"))

    async def _close(self) -> None:
        try:
            await self._source.close()
        except Exception as error:  # noqa: BLE001 - the edge: what the client got stands, the defect is for the log
            write_crash(error)


def _piece(event: bytes) -> Message:
    return {"type": "http.response.body", "body": event, "more_body": True}


async def _delivered(send: Send, message: Message, timeout_s: float = SEND_TIMEOUT_S) -> bool:
    """Send it. False when the connection broke, or nobody reads it."""
    try:
        # Nearly every send is done without waiting; a timer for each would cost as much as the send.
        steps = send(message).__await__()
        try:
            waits_for = next(steps)
        except StopIteration:
            return True
        async with asyncio.timeout(timeout_s):
            await _Rest(waits_for, steps)
    except OSError:  # TimeoutError is one.
        return False
    return True


class _Rest:
    """What is left of something awaited that was begun by hand and had to wait."""

    def __init__(self, waits_for: object, steps: Generator[object, None, None]) -> None:
        self._waits_for = waits_for
        self._steps = steps

    def __await__(self) -> Generator[object, None, None]:
        try:
            yield self._waits_for
        except BaseException as error:
            self._steps.throw(error)
            raise
        yield from self._steps
