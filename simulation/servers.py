"""What outlives every process: the ledger's documents, the log, the vault and the key, each a model in memory."""

from collections.abc import AsyncIterator
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.base.clock import Clock
from shared.ledger.documents import Document
from shared.ledger.memory import MemoryLedgerArchive, MemoryLedgerStore, MemoryLedgerWindows
from shared.ledger.store import EntryRef
from shared.proof.memory import MemoryEpochSums, MemoryLogStore, MemoryVault
from shared.proof.signer import LocalSigner

LOG_ORIGIN = "log.credence.test"
LOG_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


class Servers:
    """All of them, on one clock."""

    def __init__(self, clock: Clock) -> None:
        self.ledger = MemoryLedgerStore(clock)
        self.archive = MemoryLedgerArchive(self.ledger)
        self.windows = _SharedWindows(self.ledger)
        self.sums = MemoryEpochSums(self.ledger, self.windows)
        self.log = MemoryLogStore()
        self.vault = MemoryVault()
        self.signer = LocalSigner(LOG_ORIGIN, LOG_KEY)


class _SharedWindows(MemoryLedgerWindows):
    """The windows without a copy of each document: nobody here changes one, and copies are half of a seed's time."""

    async def entries_between(
        self, band: int, since: datetime | None, before: datetime | None
    ) -> AsyncIterator[tuple[EntryRef, Document]]:
        for _, ref in self._ordered(band, since, before):
            yield ref, self._store.entries[ref]
