"""A scripted provider, and our side of it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.providers.gateway import Upstreams
from shared.providers.models import StreamEvent
from tests.providers.fake import FakeProvider, Reply, serve_provider

PAYLOAD = {"model": "upstream/model", "messages": [{"role": "user", "content": "hi ☃"}]}


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with serve_provider("acme") as served:
        yield served


@pytest.fixture
async def upstreams(fake: FakeProvider) -> AsyncIterator[Upstreams]:
    built = Upstreams([fake.provider])
    yield built
    await built.close()


async def stream_of(
    upstreams: Upstreams, fake: FakeProvider, reply: Reply, *, timeout_s: float = 60.0, into: list[Any] | None = None
) -> list[StreamEvent]:
    """All events of one scripted stream; what they say also goes `into` a list, for those that fail."""
    fake.replies.append(reply)
    events = []
    async with await upstreams.chat_stream(fake.provider, PAYLOAD, timeout_s=timeout_s) as stream:
        async for event in stream.events():
            events.append(event)
            (into if into is not None else []).append(event.data)
    return events
