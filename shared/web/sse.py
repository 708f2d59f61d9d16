"""Sends a stream of events, and always closes what it came from, whether or not the client stayed."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from starlette.background import BackgroundTask
from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class EventSource(Protocol):
    """Something that tells events and must be closed afterwards."""

    def events(self) -> AsyncIterator[bytes]:
        """The events, each with its blank line."""

    async def close(self) -> None:
        """Settle and let go. Called once, however the stream ended."""


class EventStreamResponse(Response):
    """Relays an EventSource.

    When the client leaves we notice at the next event and stop; the source is not cancelled in the middle of a read,
    because its `close` may want to read on. `close` runs before the request counts as finished.
    """

    media_type = "text/event-stream"

    def __init__(self, source: EventSource, headers: Mapping[str, str]) -> None:
        super().__init__(None, headers={"cache-control": "no-store", "x-accel-buffering": "no", **headers})
        del self.headers["content-length"]
        self._source = source
        self.background: BackgroundTask | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = asyncio.ensure_future(_client_left(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async for event in self._source.events():
                await send({"type": "http.response.body", "body": event, "more_body": True})
                if left.done():
                    return
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except OSError:
            return  # The connection broke while we wrote; what was delivered is settled below.
        finally:
            left.cancel()
            await self._source.close()


async def _client_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
