"""Google's wire: Gemini's generateContent, asked and answered in OpenAI's shape."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from shared.base.clock import Clock, system_clock
from shared.providers.connections import Answer, Connections
from shared.providers.errors import UpstreamUnavailable
from shared.providers.google_answer import GoogleReader, completion_of
from shared.providers.google_request import image_addresses, to_generate_content
from shared.providers.models import Call
from shared.providers.pictures import Pictures
from shared.providers.streams import UpstreamStream


class GoogleWire:
    """Calls over Google's wire. Raises and does not retry, as OpenAI's does not."""

    def __init__(self, connections: Connections, pictures: Pictures, clock: Clock = system_clock) -> None:
        self._connections = connections
        self._pictures = pictures
        self._clock = clock

    async def chat(self, call: Call, payload: Mapping[str, Any]) -> dict[str, Any]:
        """A chat completion."""
        async with await self._post(call, payload, "generateContent") as response:
            answer = await response.to_object()
        try:
            completion = completion_of(answer, created_s=self._clock() // 1000)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise UpstreamUnavailable(call.provider.name, "gave an answer that is none") from None
        return completion

    async def chat_stream(self, call: Call, payload: Mapping[str, Any]) -> UpstreamStream:
        """The chunks of a chat completion."""
        answer = await self._post(call, payload, "streamGenerateContent?alt=sse")
        reader = GoogleReader(call.provider.name, created_s=self._clock() // 1000)
        return UpstreamStream(call.provider, answer, reader)

    async def _post(self, call: Call, payload: Mapping[str, Any], method: str) -> Answer:
        """The key is in a header: URLs are written into logs."""
        images, call = await self._pictures.read(image_addresses(payload), call)
        body = to_generate_content(payload, images, call.provider.name)
        path = f"/models/{quote(str(payload['model']), safe='')}:{method}"
        headers = {"x-goog-api-key": call.key.reveal()}
        return await self._connections.post_json(call, path, body, headers)
