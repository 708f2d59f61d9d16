"""What outlives every process: the ledger's documents, the log, the vault and the key, each a model in memory."""

from bisect import bisect_left, insort
from collections.abc import AsyncIterator
from datetime import datetime
from functools import lru_cache
from itertools import islice

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.base.clock import Clock
from shared.base.ids import AccountId
from shared.ledger.documents import BAND_LANES, BANDS, Document
from shared.ledger.memory import MemoryAuditMarks, MemoryLedgerArchive, MemoryLedgerStore, MemoryLedgerWindows
from shared.ledger.store import EntryRef, KnownHead
from shared.proof.memory import MemoryEpochSums, MemoryLogStore, MemoryVault
from shared.proof.note import VerifierKey
from shared.proof.signer import LocalSigner
from shared.proof.sums import Totals

LOG_ORIGIN = "log.credence.test"
SIGNATURES_REMEMBERED_MAX = 256
"""More than a seed makes."""
LOG_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


class Servers:
    """All of them, on one clock."""

    def __init__(self, clock: Clock) -> None:
        self.ledger = _ReadOnceStore(clock)
        self.archive = MemoryLedgerArchive(self.ledger)
        self.marks = MemoryAuditMarks()
        self.windows = _SharedWindows(self.ledger)
        self.sums = _RememberedSums(self.ledger, self.windows)
        self.log = MemoryLogStore()
        self.vault = MemoryVault()
        self.signer = _Signer(LOG_ORIGIN, LOG_KEY)


@lru_cache(maxsize=SIGNATURES_REMEMBERED_MAX)
def signature_of(message: bytes) -> bytes:
    """The log's signature. Ed25519 leaves nothing to chance, so a message has one."""
    return LOG_KEY.sign(message)


class _Key(VerifierKey, frozen=True):
    """The log's key, which knows its own signatures again; a third of a timed seed would be spent on verifying them."""

    def verifies(self, message: bytes, signature: bytes) -> bool:
        return signature == signature_of(message) or super().verifies(message, signature)


class _Signer(LocalSigner):
    @property
    def verifier_key(self) -> VerifierKey:
        return _KEY

    async def sign(self, message: bytes) -> bytes:
        return signature_of(message)


_KEY = _Key(LOG_ORIGIN, LOG_KEY.public_key().public_bytes_raw())


class _ReadOnceStore(MemoryLedgerStore):
    """The documents, each converted for its first reader only: they are replaced, and never changed in place."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._read: dict[AccountId, tuple[object, KnownHead]] = {}

    def _known(self, account_id: AccountId) -> KnownHead:
        document = self.heads.get(account_id)
        read = self._read.get(account_id)
        if read is None or read[0] is not document:
            read = self._read[account_id] = (document, super()._known(account_id))
        return read[1]


class _RememberedSums(MemoryEpochSums):
    """The sums, added up anew once anything was posted or settled."""

    def __init__(self, store: MemoryLedgerStore, windows: MemoryLedgerWindows) -> None:
        super().__init__(store, windows)
        self._summed: tuple[MemoryLedgerStore, MemoryLedgerWindows] = (store, windows)
        self._known: tuple[object, Totals] | None = None

    async def totals(self) -> Totals:
        store, windows = self._summed
        now = (len(store.entries), dict(windows.settled_until))
        if self._known is None or self._known[0] != now:
            self._known = (now, await super().totals())
        return self._known[1]


class _SharedWindows(MemoryLedgerWindows):
    """The windows over documents that nobody changes: they need not be copied, and keep their place in order."""

    def __init__(self, store: MemoryLedgerStore) -> None:
        super().__init__(store)
        self._bands: dict[int, list[tuple[datetime, EntryRef]]] = {band: [] for band in range(BANDS)}
        self._seen = 0

    async def entries_between(
        self, band: int, since: datetime | None, before: datetime | None
    ) -> AsyncIterator[tuple[EntryRef, Document]]:
        for _, ref in self._ordered(band, since, before):
            yield ref, self._store.entries[ref]

    def _ordered(self, band: int, since: datetime | None, before: datetime | None) -> list[tuple[datetime, EntryRef]]:
        for ref, document in islice(self._store.entries.items(), self._seen, None):
            insort(self._bands[document["lane"] // BAND_LANES], (document["committed_at"], ref))
        self._seen = len(self._store.entries)
        ordered = self._bands[band]
        start = 0 if since is None else bisect_left(ordered, since, key=_committed_at)
        end = len(ordered) if before is None else bisect_left(ordered, before, key=_committed_at)
        return ordered[start:end]


def _committed_at(place: tuple[datetime, EntryRef]) -> datetime:
    return place[0]
