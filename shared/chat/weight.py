"""How much text, how many values and images a request or an answer is made of."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from shared.chat.models import ChatRequest

BYTES_PER_TOKEN = 4
"""The usual length of a token in English. For estimates only; bounds use one byte, since no token is shorter."""


def weigh_prompt(request: ChatRequest) -> tuple[int, int, int]:
    """Bytes of text, values and images in all that a provider may show to the model.

    Templates write much of it as JSON, so that is how it is weighed; tools with each character beyond ASCII as an
    escape, which some do. An image counts by what the model makes of it, not by the length of its address or data.
    """
    described = [request.tools, request.others]
    images = [image_address(part) for part in parts(request.messages) if part.get("type") == "image_url"]
    text_bytes = _json_bytes(request.messages) + len(json.dumps(described, separators=(",", ":")))
    return text_bytes - text_bytes_of(images), _count_values([request.messages, described]), len(images)


def _json_bytes(value: object) -> int:
    return len(msgspec.json.encode(value))


def mentions(value: object, name: str) -> bool:
    """Whether a field of this name stands anywhere in a JSON value."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            if name in item:
                return True
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
    return False


def _count_values(value: object) -> int:
    """How many values a JSON value is made of."""
    count, pending = 0, [value]
    while pending:
        item = pending.pop()
        count += 1
        if isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
    return count


def tokens_of(text_bytes: int) -> int:
    return -(-text_bytes // BYTES_PER_TOKEN)


def bytes_of(text: str) -> int:
    """Bytes of a text as it is sent."""
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def text_bytes_of(value: object) -> int:
    """Bytes of all strings in a JSON value, names of fields left out."""
    text_bytes, pending = 0, [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            text_bytes += bytes_of(item)
        elif isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
    return text_bytes


def parts(messages: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """Every content part of the messages."""
    for message in messages:
        content = message.get("content")
        if isinstance(content, list):
            yield from (part for part in content if isinstance(part, dict))


def image_address(part: Mapping[str, Any]) -> str:
    """Where the image is, or its data: both of the forms that clients send."""
    image = part.get("image_url")
    address = image.get("url") if isinstance(image, dict) else image
    return address if isinstance(address, str) else ""
