"""The pure part of the vault: AES-256-GCM under an encoding of the binding that reads in one way only."""

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.base.secret import Secret
from shared.vault.errors import VaultSealed
from shared.vault.models import Binding

DATA_KEY_BYTES = 32
NONCE_BYTES = 12
"""What GCM wants. Random ones never meet here: each data key encrypts once."""
BINDING_TAG = "credence.vault.v1"
FINGERPRINT_TAG = "credence.fingerprint.v1"


def associated_data(binding: Binding) -> bytes:
    """The binding with the length of each part before it, so that no two bindings have one encoding."""
    return encode(BINDING_TAG, binding.owner, binding.provider, binding.host)


def encrypt(data_key: bytes, nonce: bytes, secret: Secret, binding: Binding) -> bytes:
    """The secret under a data key that encrypts nothing else."""
    return AESGCM(data_key).encrypt(nonce, secret.reveal().encode(), associated_data(binding))


def decrypt(data_key: bytes, nonce: bytes, ciphertext: bytes, binding: Binding) -> Secret:
    """The secret again. Raise VaultSealed for another key, another binding, or bytes that were changed."""
    try:
        return Secret(AESGCM(data_key).decrypt(nonce, ciphertext, associated_data(binding)).decode())
    except (InvalidTag, ValueError):
        raise VaultSealed("the ciphertext does not open under this binding") from None


def fingerprint(key: Secret, secret: Secret) -> str:
    """The same for the same secret, and worth nothing to whoever does not have `key`."""
    message = encode(FINGERPRINT_TAG, secret.reveal())
    return hmac.new(key.reveal().encode(), message, hashlib.sha256).hexdigest()


def encode(*parts: str) -> bytes:
    """Each part behind the number of its bytes."""
    encoded = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
