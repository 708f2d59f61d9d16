"""Streamed calls as a client reads them."""

import json
from typing import Any

from shared.web.sse import EventSource
from tests.chat.builders import request_of
from tests.chat.conftest import Shop
from tests.providers import fake

STREAMED = {"stream": True}
WITH_USAGE = {"stream": True, "stream_options": {"include_usage": True}}


def parsed(events: list[bytes]) -> list[Any]:
    """What a client reads; every event must be one on its own."""
    assert all(event.startswith(b"data: ") and event.endswith(b"\n\n") for event in events)
    return [None if event == fake.DONE else json.loads(event[6:]) for event in events]


def words_of(chunks: list[Any]) -> str:
    return "".join(
        choice["delta"].get("content") or "" for chunk in chunks if chunk for choice in chunk.get("choices", [])
    )


async def events_of(shop: Shop, **fields: object) -> list[Any]:
    """All events of one streamed call."""
    stream = await shop.stream(request_of(**{**STREAMED, **fields}))
    try:
        return parsed([event async for event in stream.events()])
    finally:
        await stream.close()


async def read_named(stream: EventSource) -> list[Any]:
    """What a client reads of a stream whose events say their kind twice, by name and by type."""
    said = []
    try:
        async for event in stream.events():
            kind, data = event.decode().removesuffix("\n\n").split("\n")
            said.append(json.loads(data.removeprefix("data: ")))
            assert kind == "event: " + said[-1]["type"]
    finally:
        await stream.close()
    return said
