"""Chunks of a stream that say some more words and nothing else, counted without being parsed.

Nearly every chunk of an answer is the one before with other words in it, byte for byte. To parse and weigh such a chunk
would cost half as much as relaying it.
"""

import re
from collections.abc import Mapping
from typing import Any

from shared.chat.models import Tally
from shared.chat.tally import tally_of
from shared.providers.events import parse_object
from shared.providers.models import StreamEvent

LESSONS_MAX = 8
"""How often a form is looked for in one stream: some providers write something new into every chunk, and have none."""
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]+')
"""What stands for itself in a string of JSON, and cannot end it: after it everything means what it meant before."""
_DATA = b"data: "


class Repeats:
    """Knows the form of one stream's chunks: the bytes before and after the words."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._lessons_left = LESSONS_MAX
        self._head = self._tail = b""

    def count(self, piece: bytes) -> bool:
        """Whether the piece is one event in the known form. If it is, its words are in the tally from now on."""
        if not (self._head and piece.startswith(self._head) and piece.endswith(self._tail)):
            return False
        words = piece[len(self._head) : -len(self._tail)]
        if not (_PLAIN.fullmatch(words) and (words.isascii() or _is_text(words))):
            return False
        self._tally.text_bytes += len(words)
        self._tally.unreported_bytes += len(words)
        self._tally.unreported_pieces += 1
        return True

    def learn(self, event: StreamEvent) -> None:
        """Take the form of an event that was parsed and counted, if nothing in that form but its words can count.

        Proved by trial: the same bytes without the words must be the same chunk without them, and weigh nothing.
        """
        chunk = event.data or {}
        words = _words_of(chunk)
        if not words or not self._lessons_left or (self._head and event.raw.startswith(self._head)):
            return
        self._lessons_left -= 1
        head, _, tail = event.raw.rpartition(b'"%b"' % words.encode(errors="surrogatepass"))
        without = parse_object(head[len(_DATA) :] + b'""' + tail)
        if without and without == _emptied(chunk) and tally_of(without).text_bytes == 0:
            self._head, self._tail = head + b'"', b'"' + tail


def _words_of(chunk: Mapping[str, Any]) -> str:
    """The words of a chunk's only choice, if the chunk ends nothing, reports no usage and no error; else none."""
    match chunk:
        case {"choices": [{"delta": {"content": str(words)}} as choice]}:
            plain = not (choice.get("finish_reason") or chunk.get("usage") or chunk.get("error"))
            return words if plain else ""
    return ""


def _emptied(chunk: Mapping[str, Any]) -> dict[str, Any]:
    """A chunk that has words, without them."""
    (choice,) = chunk["choices"]
    return {**chunk, "choices": [{**choice, "delta": {**choice["delta"], "content": ""}}]}


def _is_text(words: bytes) -> bool:
    try:
        words.decode()
    except UnicodeDecodeError:
        return False
    return True
