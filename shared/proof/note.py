"""Signed notes and checkpoints, the texts that a log's operator puts a name to.

The formats are C2SP's signed-note and tlog-checkpoint (https://c2sp.org), which sum.golang.org and the logs of
Certificate Transparency also write: a text, an empty line, and a line for each signature.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from shared.base.merkle import HASH_BYTES, SIZE_MAX
from shared.proof.errors import NoteWrong

ED25519 = b"\x01"
"""The kind of key and signature; notes may carry others, such as the cosignatures of witnesses."""
NOTE_BYTES_MAX = 1_000_000
SIGNATURES_MAX = 100
"""Both bounds are those of the format's first implementation; a note of ours has one signature and 200 bytes."""
_KEY_ID_BYTES = 4
_SIGNED_BY = "\u2014 "
"""An em dash and a space begin each line of a signature."""
_NO_NAME = re.compile(r"[+\s\x00-\x1f]")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
"""What a note may not hold; it has lines, which is why the tenth character is allowed."""


class Checkpoint(Struct, frozen=True):
    """A log as it stood: who keeps it, how many leaves it had, and the root over them."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


class Signature(Struct, frozen=True):
    """One line under a note: a key's name and id, and what it signed with."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        """The line as it is written, without its end."""
        return f"{_SIGNED_BY}{self.name} {base64.b64encode(self.key_id + self.signature).decode()}"


class Note(Struct, frozen=True):
    """A text and the signatures under it, none of them verified yet."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return self.text + "\n" + "".join(f"{signature.line}\n" for signature in self.signatures)


class VerifierKey(Struct, frozen=True):
    """The public half of a key: all that is needed to check what its holder signed."""

    name: str
    public_key: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `name+id+key`. Raise NoteWrong for any other text, and for an id that is not the key's own."""
        name, _, rest = text.partition("+")
        stated, _, encoded = rest.partition("+")
        kind_and_key = _decoded(encoded)
        _require(kind_and_key[:1] == ED25519, "the key is not for Ed25519")
        _require(len(kind_and_key) == 1 + 32, "the key has another length than one for Ed25519")
        _require(is_name(name), "the key's name is empty or holds a space or a plus sign")
        key = cls(name, kind_and_key[1:])
        _require(stated == key.key_id.hex(), "the key's id is not that of its name and bytes")
        return key

    @property
    def key_id(self) -> bytes:
        """Tells keys of one name apart; it is no proof of anything."""
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public_key).digest()[:_KEY_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(ED25519 + self.public_key).decode()}"

    def sign_with(self, signature: bytes) -> Signature:
        """The line for a signature that the key's holder made."""
        return Signature(self.name, self.key_id, signature)

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether the key's holder signed exactly these bytes."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


def is_name(name: str) -> bool:
    """Whether a key or a log may be called this: a space or a plus sign would end the name where it is read."""
    return bool(name) and not _NO_NAME.search(name)


def parse_note(raw: str) -> Note:
    """Read a note. Raise NoteWrong for what is not exactly one; no signature is verified here."""
    _require(len(raw.encode("utf-8", "replace")) <= NOTE_BYTES_MAX, "the note is too long")
    _require(not _CONTROL.search(raw), "a control character stands in the note")
    # The last empty line, because the text may hold others.
    text, found, signed = raw.rpartition("\n\n")
    _require(bool(found), "no empty line stands before the signatures")
    _require(signed.endswith("\n"), "the note does not end with a line break")
    lines = signed[:-1].split("\n")
    _require(len(lines) <= SIGNATURES_MAX, "there are too many signatures")
    return Note(text + "\n", tuple(_signature(line) for line in lines))


def open_note(raw: str, key: VerifierKey) -> str:
    """The text of a note that `key` signed. Raise NoteWrong otherwise.

    Signatures by other keys are passed over, as the format asks: they may be of kinds that we do not know.
    """
    note = parse_note(raw)
    ours = [line for line in note.signatures if (line.name, line.key_id) == (key.name, key.key_id)]
    _require(bool(ours), f"{key.name} did not sign the note with this key")
    for line in ours:
        _require(key.verifies(note.text.encode(), line.signature), f"the signature of {key.name} is wrong")
    return note.text


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint. Raise NoteWrong. Lines after the third, which other logs use, are allowed."""
    _require(text.endswith("\n"), "the checkpoint does not end with a line break")
    origin, *rest = text[:-1].split("\n")
    _require(len(rest) >= 2, "the checkpoint has fewer than three lines")
    _require(bool(origin) and all(rest), "a line of the checkpoint is empty")
    size, root = rest[:2]
    _require(size.isascii() and size.isdigit() and size == str(int(size[:20])), "the size is not a plain number")
    _require(int(size) <= SIZE_MAX, "the size is too large")
    decoded = _decoded(root)
    _require(len(decoded) == HASH_BYTES, "the root is not a hash")
    return Checkpoint(origin, int(size), decoded)


def open_checkpoint(raw: str, key: VerifierKey) -> Checkpoint:
    """The checkpoint in a note that `key` signed. Raise NoteWrong, also for the log of somebody else."""
    checkpoint = parse_checkpoint(open_note(raw, key))
    _require(checkpoint.origin == key.name, f"the checkpoint is of the log {checkpoint.origin}, not of {key.name}")
    return checkpoint


def write_note(text: str, signatures: Sequence[Signature]) -> str:
    """A text with signatures under it. Raise NoteWrong for a text that could not be read back."""
    raw = str(Note(text, tuple(signatures)))
    _require(parse_note(raw).text == text, "the text of the note would not be read back as it is")
    return raw


def _signature(line: str) -> Signature:
    _require(line.startswith(_SIGNED_BY), "a line of a signature does not begin with an em dash and a space")
    name, _, encoded = line.removeprefix(_SIGNED_BY).partition(" ")
    _require(is_name(name), "a signature's name is empty or holds a space or a plus sign")
    decoded = _decoded(encoded)
    _require(len(decoded) > _KEY_ID_BYTES, "a signature is too short")
    return Signature(name, decoded[:_KEY_ID_BYTES], decoded[_KEY_ID_BYTES:])


def _decoded(encoded: str) -> bytes:
    """Standard Base64 with padding, in the one way of writing it. Raise NoteWrong."""
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise NoteWrong("what should be Base64 is not") from None
    _require(base64.b64encode(decoded).decode() == encoded, "what should be Base64 is not")
    return decoded


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise NoteWrong(reason)
