"""Values too large to stand in a document that is written often: in pieces, under the hash of what they are.

So a value that does not change is written once, however many checkpoints hold it, and writing it again changes nothing.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from shared.agents.commits import Put
from shared.agents.limits import CHUNK_BYTES

BLOBS = "graph_blobs"


class Held(Struct, frozen=True):
    """A serialised value: its bytes where they are few, else where its pieces lie."""

    kind: str
    """The serialiser's name for how it was written."""
    inline: bytes | None = None
    digest: str = ""
    pieces: int = 0

    def fields(self) -> dict[str, Any]:
        """As it stands in a document."""
        if self.inline is not None:
            return {"kind": self.kind, "inline": self.inline}
        return {"kind": self.kind, "digest": self.digest, "pieces": self.pieces}

    def piece_names(self) -> list[str]:
        """The documents that hold it, in order."""
        return [f"{self.digest}-{number}" for number in range(self.pieces)]


def held_from(fields: Mapping[str, Any]) -> Held:
    """What `Held.fields` wrote."""
    return Held(fields["kind"], fields.get("inline"), fields.get("digest", ""), fields.get("pieces", 0))


def held_as(kind: str, content: bytes, *, inline_bytes_max: int) -> Held:
    """How a value is to be held."""
    if len(content) <= inline_bytes_max:
        return Held(kind, content)
    digest = hashlib.sha256(kind.encode() + b"\0" + content).hexdigest()
    return Held(kind, None, digest, -(-len(content) // CHUNK_BYTES))


def blob_puts(thread_path: str, held: Held, content: bytes) -> Iterator[Put]:
    """The pieces of a value that is not held inline."""
    for number, name in enumerate(held.piece_names()):
        piece = content[number * CHUNK_BYTES : (number + 1) * CHUNK_BYTES]
        yield Put(f"{thread_path}/{BLOBS}/{name}", {"data": piece}, size_bytes=len(piece))
