"""How a stream is read, whatever its pieces, and however it breaks."""

import json
from typing import Any

import pytest

from shared.base.secret import Secret
from shared.providers.errors import UpstreamUnavailable
from shared.providers.gateway import Upstreams, UpstreamStream
from shared.providers.models import DisconnectPolicy, Provider, StreamEvent
from shared.providers.streams import PassThrough
from tests.providers import fake as says
from tests.providers.conftest import stream_of
from tests.providers.fake import FakeProvider


class Pieces:
    """A body that arrives in exactly these pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = filter(None, pieces)

    async def read(self) -> bytes:
        return next(self._pieces, b"")

    def close(self) -> None:
        """There is no connection."""


async def read_pieces(*pieces: bytes) -> list[StreamEvent]:
    provider = Provider("acme", "http://127.0.0.1", Secret("key"), DisconnectPolicy.FREE)
    stream = UpstreamStream(provider, Pieces(*pieces), PassThrough(provider.name))
    return [event async for event in stream.events()]


async def test_stream_is_read_to_its_end(upstreams: Upstreams, fake: FakeProvider) -> None:
    """Each event as it was, and `[DONE]` last."""
    events = await stream_of(upstreams, fake, says.stream(*says.hello()))

    assert [event.data for event in events[1:5]] == [says.chunk(word) for word in says.WORDS]
    assert events[-1] == StreamEvent(says.DONE, None)


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
async def test_stream_reads_the_same_wherever_it_is_split(newline: bytes) -> None:
    """At every byte, and into single bytes, with either line end, between comments and other fields."""
    lines = [b": processing", b"", b"event: message", b'data: {"a":"\xc3\xa9"}', b"id: 1", b"", b"retry: 5", b""]
    body = newline.join([*lines, b'data:{"b":1}', b"", b"data: [DONE]", b"", b""])
    expected = [{"a": "é"}, {"b": 1}, None]

    for at in range(len(body) + 1):
        assert [event.data for event in await read_pieces(body[:at], body[at:])] == expected
    singly = [bytes([byte]) for byte in body]
    assert [event.data for event in await read_pieces(*singly)] == expected


async def test_an_event_of_several_lines_stays_one_event() -> None:
    """What is passed on must be an event too: a client would drop a line without its name."""
    (event,) = await read_pieces(b'data: {"a":\ndata: 1}\n\n')

    assert event.data == {"a": 1}
    assert await read_pieces(event.raw) == [event]


async def test_an_event_without_data_is_none() -> None:
    """Some send empty ones to keep the connection."""
    assert await read_pieces(b"data:\n\n", b"data: \n\n", b"event: ping\n\n", b"\n\n\n\n", says.DONE) == [
        StreamEvent(says.DONE, None)
    ]


async def test_nothing_is_read_after_the_end() -> None:
    """`[DONE]` is the end, whatever follows, and needs no blank line."""
    assert len(await read_pieces(says.DONE, b"garbage\n\ndata: {\n\n")) == 1
    assert len(await read_pieces(b"data: [DONE]")) == 1


async def test_a_last_event_without_its_blank_line_is_read() -> None:
    """Some providers end so."""
    assert [event.data for event in await read_pieces(b'data: {"a":1}')] == [{"a": 1}]


@pytest.mark.parametrize(
    "block",
    [b"data: {", b"data: [1]", b"data: 7", b"data: null", b"data: \xff\xfe", b"data: " + b"[" * 100_000, b"data: {]}"],
    ids=lambda block: repr(block[:12]),
)
async def test_an_event_that_is_no_object_is_a_failure(block: bytes) -> None:
    """It could not be counted, so it is not passed on."""
    with pytest.raises(UpstreamUnavailable, match="garbled"):
        await read_pieces(block + b"\n\n")


async def test_a_huge_event_is_read_and_an_endless_one_is_not(upstreams: Upstreams, fake: FakeProvider) -> None:
    """There is a bound, far above any event there is."""
    huge = says.event(says.chunk("x" * 3_000_000))
    events = await stream_of(upstreams, fake, says.stream(huge, says.DONE))
    assert [len(event.raw) for event in events] == [len(json.dumps(events[0].data)) + 8, len(says.DONE)]

    endless = [b"data: " + b"x" * 1_000_000] * 6
    with pytest.raises(UpstreamUnavailable, match="without end"):
        await stream_of(upstreams, fake, says.stream(*endless))


async def test_a_connection_that_breaks_is_a_failure(upstreams: Upstreams, fake: FakeProvider) -> None:
    """Whatever came before it was told first."""
    seen: list[Any] = []

    with pytest.raises(UpstreamUnavailable, match="broke off"):
        await stream_of(upstreams, fake, says.cut(says.event(says.chunk("x"))), into=seen)

    assert seen == [says.chunk("x")]
