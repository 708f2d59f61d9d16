"""What the vault takes and gives: a sealed secret, and what it is bound to."""

from msgspec import Struct


class Binding(Struct, frozen=True):
    """Whose secret it is and where it may be sent. It opens under exactly the binding that it was sealed with."""

    owner: str
    provider: str
    host: str
    """The host of the provider's configured address, in lower case, with its port where it has one."""


class Envelope(Struct, frozen=True):
    """A secret as it may be stored: under a data key of its own, which is wrapped with the key-encryption key."""

    version: str
    """Names the version of the key-encryption key that wrapped the data key."""
    wrapped: bytes
    """The data key, wrapped."""
    nonce: bytes
    ciphertext: bytes
    """The secret under AES-256-GCM, with its tag; the binding is its associated data."""
