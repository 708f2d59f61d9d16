"""Changing the key-encryption key: a new version, and data keys wrapped anew. No secret is opened for it."""

from msgspec.structs import replace

from shared.vault.models import Binding, Envelope
from shared.vault.rules import associated_data
from shared.vault.service import KeyEncryptionKey, wrapped_surely


class Rotation:
    """Rotates and wraps anew."""

    def __init__(self, key: KeyEncryptionKey) -> None:
        self._key = key

    async def rotate(self) -> str:
        """From now on everything is sealed under a new version. Raise VaultUnavailable."""
        return await self._key.rotate()

    async def primary_version(self) -> str:
        """The version under which secrets are sealed now. Raise VaultUnavailable."""
        return await self._key.primary_version()

    async def rewrap(self, envelope: Envelope, binding: Binding) -> Envelope:
        """The same secret with its data key wrapped by the primary version. Raise VaultSealed or VaultUnavailable."""
        context = associated_data(binding)
        data_key = await self._key.unwrap(envelope.version, envelope.wrapped, context)
        version, wrapped = await wrapped_surely(self._key, data_key, context)
        return replace(envelope, version=version, wrapped=wrapped)
