"""Contributed keys, and a vault over a key-encryption key in memory."""

import secrets

from shared.base.ids import UserId
from shared.base.secret import Secret
from shared.resources.models import ContributedKey, KeyId, KeyStatus
from shared.vault.models import Envelope
from shared.vault.service import Vault

HOST = "provider.example"
NOBODYS = Envelope("1", b"wrapped", b"nonce", b"ciphertext")
"""What opens nowhere, for tests that open nothing."""


def key_of(
    id: str = "key1",
    *,
    owner: str = "grace",
    provider: str = "first",
    host: str = HOST,
    models: tuple[str, ...] = ("maker/model",),
    quota_micros: int = 1_000_000,
    trust_ppm: int = 1_000_000,
    status: KeyStatus = KeyStatus.ACTIVE,
    sealed: Envelope | None = NOBODYS,
    **fields: int,
) -> ContributedKey:
    """An active key of Grace's, all of it still to be used."""
    return ContributedKey(
        id=KeyId(id),
        owner=UserId(owner),
        provider=provider,
        host=host,
        models=models,
        quota_micros=quota_micros,
        trust_ppm=trust_ppm,
        status=status,
        sealed=sealed,
        fingerprint=f"fingerprint-of-{id}",
        **fields,
    )


class MemoryKey:
    """A key-encryption key that remembers what it wrapped, for whom."""

    def __init__(self) -> None:
        self.wrapped: dict[bytes, tuple[bytes, bytes]] = {}

    async def primary_version(self) -> str:
        return "1"

    async def wrap(self, data_key: bytes, context: bytes) -> tuple[str, bytes]:
        token = secrets.token_bytes(16)
        self.wrapped[token] = (data_key, context)
        return "1", token

    async def unwrap(self, version: str, wrapped: bytes, context: bytes) -> bytes:
        """Without a look at the context, so that the binding inside the envelope is what tests try."""
        return self.wrapped[wrapped][0]

    async def rotate(self) -> str:
        return "1"


def vault() -> Vault:
    return Vault(MemoryKey(), Secret("f" * 32))
