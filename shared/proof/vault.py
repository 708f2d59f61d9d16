"""Where signed checkpoints are put so that nobody, we included, can take them back.

In production a bucket under a retention lock (`gateway.py`); for development a folder of files that are written once.
"""

import asyncio
import contextlib
import os
import tempfile
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from shared.base.merkle import SIZE_MAX
from shared.proof.errors import VaultConflict, VaultUnavailable

NAME_DIGITS = len(str(SIZE_MAX))


class Published(Struct, frozen=True):
    """A note in the vault and the size it is filed under."""

    size: int
    note: str


class Vault(Protocol):
    """Keeps one note for each size, for ever. Both raise VaultUnavailable when there is no answer in time."""

    async def publish(self, size: int, note: str) -> None:
        """File a note. Returned means durable; a repeat changes nothing.

        Raise VaultConflict when another note is filed under this size: whoever asks must stop and tell people.
        """

    async def latest(self) -> Published | None:
        """The note of the largest size."""


class FolderVault:
    """One read-only file for each note. It stands up to mistakes, not to whoever owns the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def publish(self, size: int, note: str) -> None:
        await asyncio.to_thread(self._publish, size, note)

    async def latest(self) -> Published | None:
        return await asyncio.to_thread(self._latest)

    def _publish(self, size: int, note: str) -> None:
        path = self._folder / f"{size:0{NAME_DIGITS}d}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._write_once(path, note)
            if path.read_text(encoding="utf-8") != note:
                raise VaultConflict(f"another checkpoint of size {size} is in the vault")
        except OSError as error:
            raise VaultUnavailable(type(error).__name__) from error

    def _write_once(self, path: Path, note: str) -> None:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=self._folder, prefix=".") as file:
            # If we die before the link, a hidden file is left over, which no reader looks at.
            file.write(note)
            file.flush()
            os.fchmod(file.fileno(), 0o444)
            os.fsync(file.fileno())
            # Under its name the file is whole or absent, and it never takes the place of another.
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(file.name)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _latest(self) -> Published | None:
        try:
            names = [path.name for path in self._folder.iterdir() if path.name.isdigit()]
            if not names:
                return None
            return Published(int(max(names)), (self._folder / max(names)).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise VaultUnavailable(type(error).__name__) from error
