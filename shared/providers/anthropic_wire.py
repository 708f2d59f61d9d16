"""Anthropic's wire: the Messages API, asked and answered in OpenAI's shape."""

from collections.abc import Mapping
from typing import Any

from shared.base.clock import Clock, system_clock
from shared.providers.anthropic_answer import AnthropicReader, completion_of
from shared.providers.anthropic_request import to_messages
from shared.providers.connections import Connections
from shared.providers.errors import UpstreamUnavailable
from shared.providers.models import Call
from shared.providers.streams import UpstreamStream

VERSION = "2023-06-01"
_PATH = "/messages"


class AnthropicWire:
    """Calls over Anthropic's wire. Raises and does not retry, as OpenAI's does not."""

    def __init__(self, connections: Connections, clock: Clock = system_clock) -> None:
        self._connections = connections
        self._clock = clock

    async def chat(self, call: Call, payload: Mapping[str, Any]) -> dict[str, Any]:
        """A chat completion."""
        body = to_messages(payload, call.provider.name)
        async with await self._connections.post_json(call, _PATH, body, _headers(call)) as answer:
            message = await answer.to_object()
        try:
            return completion_of(message, created_s=self._clock() // 1000)
        except (KeyError, TypeError, ValueError):
            raise UpstreamUnavailable(call.provider.name, "gave an answer that is no message") from None

    async def chat_stream(self, call: Call, payload: Mapping[str, Any]) -> UpstreamStream:
        """The chunks of a chat completion."""
        body = to_messages(payload, call.provider.name)
        answer = await self._connections.post_json(call, _PATH, body, _headers(call))
        reader = AnthropicReader(call.provider.name, created_s=self._clock() // 1000)
        return UpstreamStream(call.provider, answer, reader)


def _headers(call: Call) -> dict[str, str]:
    return {"x-api-key": call.key.reveal(), "anthropic-version": VERSION}
