"""Images that a client gave by their address, read by us: for providers that read none themselves, and for those that
stand on the inside, where an address leads to what only the inside may read."""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from shared.base.errors import CredenceError
from shared.base.fetcher import Fetcher
from shared.providers.errors import UpstreamRefused, UpstreamUnavailable
from shared.providers.models import Call

IMAGES_MAX = 16
IMAGE_BYTES_MAX = 5 * 1024 * 1024
IMAGES_BYTES_MAX = 14 * 1024 * 1024
"""A request to Gemini may have twenty megabytes, and base64 takes a third more."""
IMAGES_TIMEOUT_S = 15.0
IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"})
Images = Mapping[str, tuple[str, str]]
"""Media type and base64 of images by their address."""


class Pictures:
    """Reads images through the egress guard."""

    def __init__(self, fetcher: Fetcher | None = None) -> None:
        self._fetcher = fetcher or Fetcher()

    async def read(self, addresses: Sequence[str], call: Call) -> tuple[Images, Call]:
        """What is at the addresses, and the call with the time that is left of it. Raise UpstreamRefused.

        One after the other, so that no request holds more bytes than it may send.
        """
        if len(addresses) > IMAGES_MAX:
            raise UpstreamRefused(f"At most {IMAGES_MAX} images may be given by their address.", param="messages")
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        limit_s = min(IMAGES_TIMEOUT_S, call.timeout_s)
        images: dict[str, tuple[str, str]] = {}
        left_bytes = IMAGES_BYTES_MAX
        try:
            async with asyncio.timeout(limit_s):
                for address in addresses:
                    found = await self._fetcher.fetch(
                        address,
                        bytes_max=min(IMAGE_BYTES_MAX, left_bytes),
                        media_types=IMAGE_TYPES,
                        timeout_s=limit_s,
                    )
                    left_bytes -= len(found.content)
                    images[address] = found.media_type, base64.b64encode(found.content).decode()
        except TimeoutError:
            raise UpstreamRefused("Reading the images took too long.", param="messages") from None
        except CredenceError as error:
            raise UpstreamRefused(f"An image cannot be used. {error.message}", param="messages") from None
        left_s = call.timeout_s - (loop.time() - began_s)
        if left_s <= 0:
            raise UpstreamUnavailable(call.provider.name, "was not asked: reading the images took all the time")
        return images, replace(call, timeout_s=left_s)

    async def close(self) -> None:
        """Close the connections to where images were."""
        await self._fetcher.close()


def addresses_in(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """The addresses of images that stand elsewhere, each once."""
    contents = [content for message in messages if isinstance(content := message.get("content"), list)]
    found = (_address(part) for content in contents for part in content)
    return list(dict.fromkeys(address for address in found if address and not address.startswith("data:")))


def with_data(messages: Sequence[Mapping[str, Any]], images: Images) -> list[dict[str, Any]]:
    """The messages with each image's data where its address stood."""
    return [
        {**message, "content": [_with_data(part, images) for part in content]}
        if isinstance(content := message.get("content"), list)
        else dict(message)
        for message in messages
    ]


def _address(part: object) -> str | None:
    image = part.get("image_url") if isinstance(part, dict) else None
    address = image.get("url") if isinstance(image, dict) else image
    return address if isinstance(address, str) else None


def _with_data(part: Any, images: Images) -> Any:
    address = _address(part)
    if address is None or address not in images:
        return part
    media_type, content = images[address]
    data = f"data:{media_type};base64,{content}"
    image = part["image_url"]
    return {**part, "image_url": {**image, "url": data} if isinstance(image, dict) else data}
