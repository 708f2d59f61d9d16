"""The key-encryption key of development: versions of it in a file, which settings refuse in production."""

import asyncio
import base64
import binascii
import contextlib
import json
import os
import secrets
import tempfile
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.vault.errors import VaultSealed, VaultUnavailable
from shared.vault.rules import DATA_KEY_BYTES, NONCE_BYTES


class FileKey:
    """Reads the file on every use, so that processes that share it see one another's rotations.

    The file is `{"primary": "2", "versions": {"1": base64, "2": base64}}`, and is made on first use.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def primary_version(self) -> str:
        """The version that wraps now."""
        return (await asyncio.to_thread(self._read))[0]

    async def wrap(self, data_key: bytes, context: bytes) -> tuple[str, bytes]:
        """Under the primary version, with the nonce before what is wrapped."""
        primary, versions = await asyncio.to_thread(self._read)
        nonce = secrets.token_bytes(NONCE_BYTES)
        return primary, nonce + AESGCM(versions[primary]).encrypt(nonce, data_key, context)

    async def unwrap(self, version: str, wrapped: bytes, context: bytes) -> bytes:
        """Raise VaultSealed for a version that is gone, and for what does not open."""
        _, versions = await asyncio.to_thread(self._read)
        if version not in versions:
            raise VaultSealed("the version of the key-encryption key is gone")
        try:
            return AESGCM(versions[version]).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], context)
        except (InvalidTag, ValueError):
            raise VaultSealed("the data key does not unwrap") from None

    async def rotate(self) -> str:
        """Add a version. The file is whole at any moment, whoever dies."""
        return await asyncio.to_thread(self._rotate)

    def _rotate(self) -> str:
        _, versions = self._read()
        primary = str(max(map(int, versions)) + 1)
        self._write(primary, {**versions, primary: secrets.token_bytes(DATA_KEY_BYTES)})
        return primary

    def _read(self) -> tuple[str, dict[str, bytes]]:
        try:
            if not self._path.exists():
                self._write_first()
            said = json.loads(self._path.read_bytes())
            versions = {name: base64.b64decode(key, validate=True) for name, key in said["versions"].items()}
            primary = said["primary"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
            raise VaultUnavailable(f"the key file cannot be read: {type(error).__name__}") from None
        if primary not in versions or any(len(key) != DATA_KEY_BYTES for key in versions.values()):
            raise VaultUnavailable("the key file names no usable key")
        return primary, versions

    def _write_first(self) -> None:
        with tempfile.TemporaryDirectory(dir=self._path.parent, prefix=".") as folder:
            first = Path(folder) / "first"
            _save(first, "1", {"1": secrets.token_bytes(DATA_KEY_BYTES)})
            # Of processes that start together, one makes the key of all.
            with contextlib.suppress(FileExistsError):
                self._path.hardlink_to(first)

    def _write(self, primary: str, versions: dict[str, bytes]) -> None:
        with tempfile.TemporaryDirectory(dir=self._path.parent, prefix=".") as folder:
            _save(Path(folder) / "next", primary, versions)
            (Path(folder) / "next").replace(self._path)


def _save(path: Path, primary: str, versions: dict[str, bytes]) -> None:
    said = {"primary": primary, "versions": {name: base64.b64encode(key).decode() for name, key in versions.items()}}
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(said, file)
        file.flush()
        os.fsync(file.fileno())
