"""Under which name an answer is kept, and how it is locked so that only who asks the same again can read it.

Name and key are both derived from the request: the store learns neither the question nor the answer. Whoever can read
the store and guess a request word for word can check the guess; nothing that is looked up by a question can hide that.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

VERSION = "credence.answer.v1"
"""Changed with the form of what is kept, so that what was kept in another form is never found."""
EVERYBODY = "*"
NONCE_BYTES = 12
ANSWER_BYTES_MAX = 1_000_000
"""A document of Firestore takes 1 MiB in all; what is longer is not kept."""


class Place(Struct, frozen=True):
    """Where the answer to one request is kept, and what unlocks it."""

    name: str
    key: bytes


def place_of(owner: str, request: Mapping[str, Any]) -> Place:
    """The place for a request of `owner`. Requests that differ in anything but the order of names differ in it."""
    secret = json.dumps([VERSION, owner, request], sort_keys=True, separators=(",", ":")).encode()
    return Place(hashlib.sha256(b"name\0" + secret).hexdigest(), hashlib.sha256(b"key\0" + secret).digest())


def lock(place: Place, text: bytes, nonce: bytes) -> bytes:
    """Encrypt for the place, AES-256-GCM. `nonce` is random: one place is used again after its answer expired."""
    return nonce + AESGCM(place.key).encrypt(nonce, text, place.name.encode())


def unlock(place: Place, locked: bytes) -> bytes | None:
    """The text; None for what was not locked for this place, or was changed since."""
    try:
        return AESGCM(place.key).decrypt(locked[:NONCE_BYTES], locked[NONCE_BYTES:], place.name.encode())
    except (InvalidTag, ValueError):
        return None
