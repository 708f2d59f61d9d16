"""Server-sent events out of bytes, however these are cut into pieces."""

import json
from typing import Any

import msgspec

_BREAK = b"\n\n"
_parse = msgspec.json.Decoder().decode


class EventBlocks:
    """Collects pieces of a body and gives out the blocks of lines that blank lines end."""

    def __init__(self) -> None:
        self._pending = bytearray()

    @property
    def pending_bytes(self) -> int:
        """The length of the block that has not ended yet."""
        return len(self._pending)

    def feed(self, piece: bytes) -> list[bytes]:
        """The blocks that this piece ends. Lines end with a line feed, before which a return may stand."""
        searched_bytes = max(len(self._pending) - 1, 0)
        # JSON writes the one in a text as an escape, so what is left ends a line, beside a line feed.
        self._pending += piece.replace(b"\r", b"")
        # Only what is new is searched: an event of megabytes, such as a picture, comes in thousands of pieces.
        if self._pending.find(_BREAK, searched_bytes) < 0:
            return []
        *complete, rest = bytes(self._pending).split(_BREAK)
        self._pending = bytearray(rest)
        return complete

    def rest(self) -> bytes:
        """What came after the last blank line."""
        return bytes(self._pending)


def data_of(block: bytes) -> bytes:
    """The data in a block of lines; empty for comments, blanks and events without any."""
    lines = [line[5:].strip() for line in block.split(b"\n") if line.startswith(b"data:")]
    # A line break can only stand between JSON's tokens, where a space says the same and keeps one event one line.
    return b" ".join(lines).strip()


def parse_object(text: bytes) -> dict[str, Any] | None:
    """The JSON object in an event's data, or None when it is none.

    What the fast parser refuses, such as half a character, may still be passed on as it came.
    """
    try:
        data = _parse(text)
    except RecursionError:
        return None
    except ValueError:
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            return None
    return data if isinstance(data, dict) else None


def event_of(data: dict[str, Any]) -> bytes:
    """One event that says this."""
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + _BREAK
