"""A chat request as OpenAI's clients send it, and the answer with its charge."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

CHOICES_MAX = 8
MESSAGES_MAX = 2_000
TOKENS_ASKED_MAX = 10**7


class StreamOptions(BaseModel):
    """What the client wants of a stream."""

    model_config = ConfigDict(extra="allow")

    include_usage: bool | None = None


class ChatRequest(BaseModel):
    """The fields we read. All others are passed on as they are, except those `rules.check_payload` names."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(min_length=1, max_length=200)
    messages: list[dict[str, Any]] = Field(min_length=1, max_length=MESSAGES_MAX)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(default=None, ge=1, le=TOKENS_ASKED_MAX)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=TOKENS_ASKED_MAX)
    n: int | None = Field(default=None, ge=1, le=CHOICES_MAX)
    tools: list[dict[str, Any]] | None = Field(default=None, max_length=256)


@dataclass(slots=True)
class Tally:
    """What a stream has delivered so far, counted by us in case the provider never says."""

    text_bytes: int = 0
    unreported_bytes: int = 0
    """Of those, the ones delivered since the provider last said how much it was."""
    begun: set[int] = field(default_factory=set)
    ended: set[int] = field(default_factory=set)
    """Choices by index; at most CHOICES_MAX of them."""
    reported: Mapping[str, Any] | None = None
    """The provider's last usage whose counts can be counts."""

    @property
    def finished(self) -> bool:
        """True once every choice that began has ended."""
        return bool(self.ended) and self.begun <= self.ended


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """A whole answer: the body to send, and headers that tell the charge and the route."""

    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
