"""How a client is told of a chat: its usage with the cost, and the events of a stream in the words of chat."""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from shared.base.units import Unit
from shared.calls.service import told_cost
from shared.chat.models import Tally
from shared.metering.models import Charge, Usage, UsageSource
from shared.providers.models import StreamEvent


class Teller(Protocol):
    """Says a stream in one API's words. Every method gives whole events, or nothing; none may raise: it has begun."""

    last: bytes
    """What closes every stream, however it went."""
    relays: bool
    """Whether chunks that only say more words are told as they came."""

    def begin(self) -> bytes:
        """What comes before the provider's first word."""
        ...

    def tell(self, event: StreamEvent) -> bytes:
        """A chunk that has choices."""
        ...

    def end(self, usage: Mapping[str, Any]) -> bytes:
        """The answer is whole and charged: its usage with the cost."""
        ...

    def fail(self, message: str, code: str, usage: Mapping[str, Any] | None) -> bytes:
        """The answer has failed; the usage is of what was delivered and charged, None when nothing was."""
        ...


class ChatTeller:
    """OpenAI's chat: the provider's own chunks, and `[DONE]`."""

    last = b"data: [DONE]\n\n"
    relays = True

    def __init__(self, *, tells_usage: bool) -> None:
        self._tells_usage = tells_usage
        self._said: Mapping[str, Any] = {}
        """The last chunk, whose name and model those of ours bear too."""

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def tell(self, event: StreamEvent) -> bytes:
        """The chunk as it came, but for a usage: ours bears our cost, the provider's is none of the client's."""
        self._said = event.data or {}
        return told_event(_without_usage(self._said)) if self._said.get("usage") else event.raw

    def end(self, usage: Mapping[str, Any]) -> bytes:
        """A chunk without choices, for those who asked."""
        return told_event({**_without_usage(self._said), "choices": [], "usage": usage}) if self._tells_usage else b""

    def fail(self, message: str, code: str, usage: Mapping[str, Any] | None) -> bytes:
        """A chunk with an error, as OpenRouter has it."""
        fault = {"message": message, "type": "api_error", "param": None, "code": code}
        ending = [{"index": 0, "delta": {}, "finish_reason": "error"}]
        said = {**_without_usage(self._said), "object": "chat.completion.chunk", "choices": ending, "error": fault}
        return told_event(said)


def usage_with_cost(tally: Tally, usage: Usage | None, charge: Charge) -> dict[str, Any]:
    """The counts that were charged, with our cost beside them: credits as a number for tools, and exact micros."""
    told = dict(tally.reported or {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})
    if usage and usage.source is UsageSource.ESTIMATED:
        completion_tokens = usage.count(Unit.COMPLETION_TOKEN)
        told |= {"prompt_tokens": usage.prompt_tokens, "completion_tokens": completion_tokens}
        told["total_tokens"] = usage.prompt_tokens + completion_tokens
    return {**told, **told_cost(charge)}


def told_event(data: Mapping[str, Any]) -> bytes:
    """One event of a stream."""
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"


def _without_usage(chunk: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in chunk.items() if name != "usage"}
