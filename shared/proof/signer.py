"""Who signs checkpoints: a key in a file for development; in production a key in Cloud KMS (`gateway.py`)."""

from pathlib import Path
from typing import Protocol, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from shared.proof.errors import SigningFailed
from shared.proof.note import VerifierKey, write_note


class Signer(Protocol):
    """Holds a key and signs with it."""

    @property
    def verifier_key(self) -> VerifierKey:
        """The public half, under the signer's name."""

    async def sign(self, message: bytes) -> bytes:
        """Sign with Ed25519. Raise SigningFailed when there is no answer in time, or one that does not verify."""


class LocalSigner:
    """Signs with a key held in memory."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._verifier_key = VerifierKey(name, key.public_key().public_bytes_raw())

    @classmethod
    def from_file(cls, name: str, path: Path) -> Self:
        """The key in a PEM file (PKCS #8, unencrypted). Raise SigningFailed when there is none."""
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise SigningFailed(f"the key file cannot be read: {type(error).__name__}") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise SigningFailed("the key in the file is not one for Ed25519")
        return cls(name, key)

    @property
    def verifier_key(self) -> VerifierKey:
        return self._verifier_key

    async def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


async def sign_note(text: str, signer: Signer) -> str:
    """The note with this text, signed. Raise SigningFailed."""
    signature = await signer.sign(text.encode())
    key = signer.verifier_key
    if not key.verifies(text.encode(), signature):
        # A wrong key in the settings is found here, before anybody sees a note that does not verify.
        raise SigningFailed(f"what was signed does not verify under the key of {key.name}")
    return write_note(text, [key.sign_with(signature)])
