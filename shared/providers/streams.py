"""An answer as it is written: a provider's server-sent events as events of OpenAI's wire."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Protocol, Self

from shared.providers.connections import BROKEN
from shared.providers.errors import UpstreamUnavailable
from shared.providers.events import EventBlocks, data_of, event_of, parse_object
from shared.providers.models import KNOWN, Provider, StreamEvent

EVENT_BYTES_MAX = 4 * 1024 * 1024
PICTURE_EVENT_BYTES_MAX = 24 * 1024 * 1024
"""A partial picture is one event."""
DONE = StreamEvent(b"data: [DONE]\n\n", None)


class Pieces(Protocol):
    """A body that arrives in pieces."""

    async def read(self) -> bytes:
        """The next piece as it comes, empty at the end. May raise BROKEN."""
        ...

    def close(self) -> None:
        """Drop the connection."""
        ...


class EventReader(Protocol):
    """Reads one wire's events, of one stream."""

    def read(self, text: bytes) -> Iterable[StreamEvent]:
        """What one event's data says. Raise UpstreamUnavailable when it cannot be read."""
        ...

    def end(self) -> Iterable[StreamEvent]:
        """What the end of the body says, when no `[DONE]` came before it."""
        ...


class UpstreamStream:
    """The events of one answer. Iterate it once; `async with` closes the connection."""

    def __init__(
        self, provider: Provider, answer: Pieces, reader: EventReader, *, event_bytes_max: int = EVENT_BYTES_MAX
    ) -> None:
        self.provider = provider
        self._answer = answer
        self._reader = reader
        self._event_bytes_max = event_bytes_max

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connection; a provider that notices stops writing."""
        self._answer.close()

    async def events(self, knows: Callable[[bytes], bool] | None = None) -> AsyncIterator[StreamEvent]:
        """Every event up to and with `[DONE]`. Raise UpstreamUnavailable when the stream breaks or cannot be read.

        What arrives between events is first shown to `knows`: if that says yes, it is given out as an event unparsed.
        """
        blocks = EventBlocks()
        try:
            while piece := await self._answer.read():
                if knows and not blocks.pending_bytes and knows(piece):
                    yield StreamEvent(piece, KNOWN)
                    continue
                for block in blocks.feed(piece):
                    for event in self._events(block):
                        yield event
                        if event.data is None:
                            return
                if blocks.pending_bytes > self._event_bytes_max:
                    raise UpstreamUnavailable(self.provider.name, "sent an event without end")
        except BROKEN:
            raise UpstreamUnavailable(self.provider.name, "broke off its answer") from None
        for event in (*self._events(blocks.rest()), *self._reader.end()):
            yield event
            if event.data is None:
                return

    def _events(self, block: bytes) -> Iterable[StreamEvent]:
        return self._reader.read(text) if (text := data_of(block)) else ()


class PassThrough:
    """Reads OpenAI's wire: each event is passed on as it came."""

    def __init__(self, provider_name: str) -> None:
        self._provider_name = provider_name

    def read(self, text: bytes) -> Iterable[StreamEvent]:
        """The event itself."""
        if text == b"[DONE]":
            return (DONE,)
        data = parse_object(text)
        if data is None:
            raise UpstreamUnavailable(self._provider_name, "garbled its answer")
        return (StreamEvent(b"data: " + text + b"\n\n", data),)

    def end(self) -> Iterable[StreamEvent]:
        """Nothing that the provider has not said."""
        return ()


class Chunks:
    """Makes the chunks of one answer."""

    def __init__(self, created_s: int) -> None:
        self._shape: dict[str, Any] = {"id": "", "object": "chat.completion.chunk", "created": created_s, "model": ""}

    def begin(self, answer_id: object, model: object) -> None:
        """Name the answer and the model that writes it."""
        self._shape |= {"id": str(answer_id), "model": str(model)}

    def said(
        self,
        delta: Mapping[str, Any],
        *,
        index: int = 0,
        finish: str | None = None,
        usage: Mapping[str, Any] | None = None,
    ) -> StreamEvent:
        """A chunk that adds to one choice, or ends it."""
        choice = {"index": index, "delta": delta, "finish_reason": finish, "logprobs": None}
        return _said({**self._shape, "choices": [choice], **({} if usage is None else {"usage": usage})})

    def counted(self, usage: Mapping[str, Any]) -> StreamEvent:
        """The chunk that tells the usage and nothing else."""
        return _said({**self._shape, "choices": [], "usage": usage})


def _said(data: dict[str, Any]) -> StreamEvent:
    return StreamEvent(event_of(data), data)
