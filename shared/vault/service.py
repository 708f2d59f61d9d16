"""The vault: seals secrets so that the store that keeps them cannot read them, and opens them to be sent."""

import secrets
from collections.abc import Callable
from typing import Protocol

from msgspec.structs import replace

from shared.base.secret import Secret
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


class Vault:
    """Seals and opens. The secret is in this process's memory only between `open` and its being sent."""

    def __init__(
        self,
        key: KeyEncryptionKey,
        fingerprint_key: Secret,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._key = key
        self._fingerprint_key = fingerprint_key
        self._random_bytes = random_bytes

    async def seal(self, secret: Secret, binding: Binding) -> Envelope:
        """The secret under a fresh data key, bound. Raise VaultUnavailable."""
        data_key, nonce = self._random_bytes(rules.DATA_KEY_BYTES), self._random_bytes(rules.NONCE_BYTES)
        context = rules.associated_data(binding)
        version, wrapped = await self._key.wrap(data_key, context)
        if await self._key.unwrap(version, wrapped, context) != data_key:
            # Bytes that were damaged on their way would be found when it is too late.
            raise VaultSealed("what was wrapped does not unwrap")
        return Envelope(version, wrapped, nonce, rules.encrypt(data_key, nonce, secret, binding))

    async def open(self, envelope: Envelope, binding: Binding) -> Secret:
        """The secret. Raise VaultSealed for another binding or a changed envelope, VaultUnavailable."""
        data_key = await self._key.unwrap(envelope.version, envelope.wrapped, rules.associated_data(binding))
        return rules.decrypt(data_key, envelope.nonce, envelope.ciphertext, binding)

    async def rewrap(self, envelope: Envelope, binding: Binding) -> Envelope:
        """The same secret with its data key wrapped by the primary version; the secret itself is not touched.

        Raise VaultSealed, VaultUnavailable.
        """
        context = rules.associated_data(binding)
        data_key = await self._key.unwrap(envelope.version, envelope.wrapped, context)
        version, wrapped = await self._key.wrap(data_key, context)
        if await self._key.unwrap(version, wrapped, context) != data_key:
            raise VaultSealed("what was wrapped does not unwrap")
        return replace(envelope, version=version, wrapped=wrapped)

    async def rotate(self) -> str:
        """From now on seal under a new version. Raise VaultUnavailable."""
        return await self._key.rotate()

    async def primary_version(self) -> str:
        """The version under which secrets are sealed now. Raise VaultUnavailable."""
        return await self._key.primary_version()

    def fingerprint(self, secret: Secret) -> str:
        """An HMAC by which the same secret is found again, whoever brings it and for whichever provider."""
        return rules.fingerprint(self._fingerprint_key, secret)
