"""A chat request as OpenAI's clients send it, and the answer with its charge."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from shared.base.body import ForeignBody

CHOICES_MAX = 8
MESSAGES_MAX = 2_000
TOKENS_ASKED_MAX = 10**7
TOOLS_MAX = 256
_TokenCap = Annotated[int, Meta(ge=1, le=TOKENS_ASKED_MAX)]


class StreamOptions(Struct, frozen=True):
    """What the client wants of a stream."""

    include_usage: bool | None = None


class ChatRequest(ForeignBody, frozen=True, kw_only=True):
    """The fields we read. Others that `fields.py` knows are passed on as they are; any else is refused."""

    model: Annotated[str, Meta(min_length=1, max_length=200)]
    messages: Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=MESSAGES_MAX)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: _TokenCap | None = None
    max_completion_tokens: _TokenCap | None = None
    n: Annotated[int, Meta(ge=1, le=CHOICES_MAX)] | None = None
    tools: Annotated[list[dict[str, Any]], Meta(max_length=TOOLS_MAX)] | None = None
    credence_cache: Literal["use"] | None = None
    """Ours, and never sent on: whoever asks the same again wants the answer of before, at a lower price."""


class Tally(Struct):
    """What a stream has delivered so far, counted by us in case the provider never says."""

    text_bytes: int = 0
    unreported_bytes: int = 0
    """Of those, the ones delivered since the provider last said how much it was."""
    unreported_pieces: int = 0
    """The pieces that they came in."""
    begun: set[int] = field(default_factory=set)
    ended: set[int] = field(default_factory=set)
    """Choices by index; at most CHOICES_MAX of them."""
    answered: bool = False
    """True once a choice ended as an answer does: where it stopped may be all that it says."""
    reported: Mapping[str, Any] | None = None
    """The provider's last usage whose counts can be counts."""

    @property
    def finished(self) -> bool:
        """True once every choice that began has ended."""
        return bool(self.ended) and self.begun <= self.ended


class ChatAnswer(Struct, frozen=True):
    """A whole answer: the body to send, and headers that tell the charge and the route."""

    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
