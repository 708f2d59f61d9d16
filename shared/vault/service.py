"""The vault: seals secrets so that the store that keeps them cannot read them, and opens them to be sent."""

import secrets
from collections.abc import Callable
from typing import Protocol

from shared.base.secret import Secret
from shared.base.settings import SettingsWrong
from shared.vault import rules
from shared.vault.errors import VaultSealed
from shared.vault.models import Binding, Envelope


class KeyEncryptionKey(Protocol):
    """Wraps data keys and never leaves where it is. Every method raises VaultUnavailable when there is no answer."""

    async def primary_version(self) -> str:
        """The version that wraps what is wrapped now."""
        ...

    async def wrap(self, data_key: bytes, context: bytes) -> tuple[str, bytes]:
        """The version that wrapped it, and the wrapped key, which unwraps with the same context only."""
        ...

    async def unwrap(self, version: str, wrapped: bytes, context: bytes) -> bytes:
        """The data key. Raise VaultSealed."""
        ...

    async def rotate(self) -> str:
        """Make a new version the primary one, and name it. What earlier ones wrapped still unwraps."""
        ...


async def wrapped_surely(key: KeyEncryptionKey, data_key: bytes, context: bytes) -> tuple[str, bytes]:
    """The data key, wrapped, and proved to unwrap: damage on the way would else be found when it is too late.

    Raise VaultSealed or VaultUnavailable.
    """
    version, wrapped = await key.wrap(data_key, context)
    if await key.unwrap(version, wrapped, context) != data_key:
        raise VaultSealed("what was wrapped does not unwrap")
    return version, wrapped


class Vault:
    """Seals and opens. The secret is in this process's memory only between `open` and its being sent."""

    def __init__(
        self,
        key: KeyEncryptionKey,
        fingerprint_key: Secret | None,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._key = key
        self._fingerprint_key = fingerprint_key
        self._random_bytes = random_bytes

    async def seal(self, secret: Secret, binding: Binding) -> Envelope:
        """The secret under a fresh data key, bound. Raise VaultSealed or VaultUnavailable, and then nothing is kept."""
        data_key, nonce = self._random_bytes(rules.DATA_KEY_BYTES), self._random_bytes(rules.NONCE_BYTES)
        context = rules.associated_data(binding)
        version, wrapped = await wrapped_surely(self._key, data_key, context)
        return Envelope(version, wrapped, nonce, rules.encrypt(data_key, nonce, secret, binding))

    async def open(self, envelope: Envelope, binding: Binding) -> Secret:
        """The secret. Raise VaultSealed for another binding or a changed envelope, VaultUnavailable."""
        data_key = await self._key.unwrap(envelope.version, envelope.wrapped, rules.associated_data(binding))
        return rules.decrypt(data_key, envelope.nonce, envelope.ciphertext, binding)

    def fingerprint(self, secret: Secret) -> str:
        """An HMAC by which the same secret is found again, whoever brings it and for whichever provider.

        Raise SettingsWrong where there is nothing to make it with.
        """
        if self._fingerprint_key is None:
            raise SettingsWrong("VAULT_FINGERPRINT_KEY is needed where keys are contributed")
        return rules.fingerprint(self._fingerprint_key, secret)
