"""Google's wire: Gemini's generateContent, asked and answered in OpenAI's shape."""

import asyncio
import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from msgspec.structs import replace

from shared.base.clock import Clock, system_clock
from shared.base.errors import CredenceError
from shared.base.fetcher import Fetcher
from shared.providers.connections import Answer, Connections
from shared.providers.errors import UpstreamRefused, UpstreamUnavailable
from shared.providers.google_answer import GoogleReader, completion_of
from shared.providers.google_request import Images, image_addresses, to_generate_content
from shared.providers.models import Call
from shared.providers.streams import UpstreamStream

IMAGES_MAX = 16
IMAGE_BYTES_MAX = 5 * 1024 * 1024
IMAGES_BYTES_MAX = 14 * 1024 * 1024
"""A request to Gemini may have twenty megabytes, and base64 takes a third more."""
IMAGES_TIMEOUT_S = 15.0
IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"})


class GoogleWire:
    """Calls over Google's wire. Raises and does not retry, as OpenAI's does not."""

    def __init__(self, connections: Connections, fetcher: Fetcher | None = None, clock: Clock = system_clock) -> None:
        self._connections = connections
        self._fetcher = fetcher or Fetcher()
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

    async def close(self) -> None:
        """Close the connections to where images were."""
        await self._fetcher.close()

    async def _post(self, call: Call, payload: Mapping[str, Any], method: str) -> Answer:
        """The key is in a header: URLs are written into logs."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        images = await self._images(image_addresses(payload), min(IMAGES_TIMEOUT_S, call.timeout_s))
        left_s = call.timeout_s - (loop.time() - began_s)
        if left_s <= 0:
            raise UpstreamUnavailable(call.provider.name, "was not asked: reading the images took all the time")
        body = to_generate_content(payload, images, call.provider.name)
        path = f"/models/{quote(str(payload['model']), safe='')}:{method}"
        headers = {"x-goog-api-key": call.key.reveal()}
        return await self._connections.post_json(replace(call, timeout_s=left_s), path, body, headers)

    async def _images(self, addresses: list[str], timeout_s: float) -> Images:
        """What is at the addresses, read through the egress guard. Raise UpstreamRefused.

        One after the other, so that no request holds more bytes than it may send.
        """
        if len(addresses) > IMAGES_MAX:
            raise UpstreamRefused(f"At most {IMAGES_MAX} images may be given by their address.", param="messages")
        images: dict[str, tuple[str, str]] = {}
        left_bytes = IMAGES_BYTES_MAX
        try:
            async with asyncio.timeout(timeout_s):
                for address in addresses:
                    found = await self._fetcher.fetch(
                        address,
                        bytes_max=min(IMAGE_BYTES_MAX, left_bytes),
                        media_types=IMAGE_TYPES,
                        timeout_s=timeout_s,
                    )
                    left_bytes -= len(found.content)
                    images[address] = found.media_type, base64.b64encode(found.content).decode()
        except TimeoutError:
            raise UpstreamRefused("Reading the images took too long.", param="messages") from None
        except CredenceError as error:
            raise UpstreamRefused(f"An image cannot be used. {error.message}", param="messages") from None
        return images
