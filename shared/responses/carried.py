"""Signed thoughts, which a provider wants given back, inside a reasoning item's `encrypted_content`.

Clients pass that field on without looking into it. What is in it is their own conversation, so it is not encrypted.
"""

import base64
import binascii

import msgspec

Block = dict[str, str | int | bool | None]
"""One of a chat message's `thinking_blocks`: flat, whatever a client puts there."""
_decoder = msgspec.json.Decoder(list[Block])


def sealed(blocks: list[Block]) -> str | None:
    """The blocks in one text; None when there are none."""
    return base64.b64encode(msgspec.json.encode(blocks)).decode() if blocks else None


def blocks_in(text: object) -> list[Block]:
    """The blocks in such a text; none in one that is not of ours."""
    try:
        return _decoder.decode(base64.b64decode(text, validate=True)) if isinstance(text, str) else []
    except (binascii.Error, ValueError):
        return []
