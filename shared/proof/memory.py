"""The log's store and vault in memory: the same promises as Firestore's and the bucket's, for tests and simulation."""

from shared.proof.errors import VaultConflict
from shared.proof.vault import Published


class MemoryVault:
    """Notes in a dictionary."""

    def __init__(self) -> None:
        self.notes: dict[int, str] = {}

    async def publish(self, size: int, note: str) -> None:
        if self.notes.setdefault(size, note) != note:
            raise VaultConflict(f"another checkpoint of size {size} is in the vault")

    async def latest(self) -> Published | None:
        if not self.notes:
            return None
        size = max(self.notes)
        return Published(size, self.notes[size])
