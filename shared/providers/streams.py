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
HELD_EVENTS_MAX = 8
"""Events that say nothing and are kept back for the first one that does. After so many an answer counts as begun: some
providers send empty ones to keep the connection while their model thinks."""
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


def speaks(chunk: Mapping[str, Any]) -> bool:
    """Whether a chunk of a chat says anything, if only that the answer has ended: a role alone is not yet an answer."""
    choices = chunk.get("choices")
    return isinstance(choices, list) and any(isinstance(choice, dict) and _says(choice) for choice in choices)


def shows(event: Mapping[str, Any]) -> bool:
    """Whether an event is one of a picture or a text that is shown while it is made: each of them says its type."""
    return isinstance(event.get("type"), str)


class UpstreamStream:
    """The events of one answer. Iterate it once; `async with` closes the connection."""

    def __init__(
        self,
        provider: Provider,
        answer: Pieces,
        reader: EventReader,
        *,
        event_bytes_max: int = EVENT_BYTES_MAX,
        begins: Callable[[Mapping[str, Any]], bool] = speaks,
    ) -> None:
        """`begins` tells which event is the first that is part of an answer."""
        self.provider = provider
        self._answer = answer
        self._reader = reader
        self._event_bytes_max = event_bytes_max
        self._begins = begins
        self._knows: Callable[[bytes], bool] | None = None
        self._again: list[StreamEvent] = []
        """Events that were read already, to see that the answer has begun."""
        self._incoming = self._read()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connection; a provider that notices stops writing."""
        self._answer.close()

    async def begin(self) -> None:
        """Wait until the answer has begun: nothing of it is told before, so that another provider can still be asked.

        Raise UpstreamUnavailable, the connection closed, for a body that is not what was asked for, fails, or ends.
        """
        read: list[StreamEvent] = []
        name = self.provider.name
        try:
            async for event in self._incoming:
                if event.data is None:
                    break
                if event.data.get("error") or event.data.get("type") == "error":
                    raise UpstreamUnavailable(name, "failed before its answer had begun")
                read.append(event)
                if self._begins(event.data) or len(read) >= HELD_EVENTS_MAX:
                    self._again = read
                    return
            raise UpstreamUnavailable(name, "ended its answer before it had begun")
        except BaseException:
            self.close()
            raise

    def events(self, knows: Callable[[bytes], bool] | None = None) -> AsyncIterator[StreamEvent]:
        """Every event up to and with `[DONE]`. Raise UpstreamUnavailable when the stream breaks or cannot be read.

        What arrives between events is first shown to `knows`: if that says yes, it is given out as an event unparsed.
        """
        self._knows = knows
        return self._incoming

    async def _read(self) -> AsyncIterator[StreamEvent]:
        blocks = EventBlocks()
        piece = b"\n"
        try:
            while piece:
                piece = await self._answer.read()
                if (knows := self._knows) and piece and not blocks.pending_bytes and knows(piece):
                    yield StreamEvent(piece, KNOWN)
                    continue
                for event in self._events_in(blocks, piece):
                    yield event
                    while self._again:
                        yield self._again.pop(0)
                    if event.data is None:
                        return
        except BROKEN:
            raise UpstreamUnavailable(self.provider.name, "broke off its answer") from None

    def _events_in(self, blocks: EventBlocks, piece: bytes) -> Iterable[StreamEvent]:
        """What a piece of the body completes; an empty one is its end."""
        if not piece:
            yield from self._events(blocks.rest())
            yield from self._reader.end()
            return
        for block in blocks.feed(piece):
            yield from self._events(block)
        if blocks.pending_bytes > self._event_bytes_max:
            raise UpstreamUnavailable(self.provider.name, "sent an event without end")

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


def _says(choice: Mapping[str, Any]) -> bool:
    delta = choice.get("delta")
    words = [value for name, value in delta.items() if name != "role"] if isinstance(delta, dict) else [delta]
    return any(words) or bool(choice.get("finish_reason") or choice.get("text"))
