"""Keys, logs and faults for the tests of proofs."""

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.base.ids import AccountId
from shared.ledger.archive import LedgerArchive
from shared.ledger.memory import MemoryLedgerArchive, MemoryLedgerStore, MemoryLedgerWindows
from shared.ledger.store import LedgerStore
from shared.proof.checkpoint import CheckpointLimits, Checkpoints
from shared.proof.errors import CommitLost, VaultUnavailable
from shared.proof.log import Append, Epoch, LoggedHead
from shared.proof.memory import MemoryEpochSums, MemoryLogStore, MemoryVault
from shared.proof.note import Checkpoint, open_checkpoint
from shared.proof.signer import LocalSigner
from shared.proof.store import KnownState, LogStore, StateVersion
from shared.proof.sums import EpochSums
from shared.proof.tiles import ENTRIES, TILE_LEAVES, TileKey, split_leaves
from shared.proof.vault import Published, Vault
from tests.ledger.builders import Ticker, chance_of

ORIGIN = "log.credence.test"
SEED = bytes(range(32))


def signer(name: str = ORIGIN, seed: bytes = SEED) -> LocalSigner:
    """A signer whose key is the same in every run."""
    return LocalSigner(name, Ed25519PrivateKey.from_private_bytes(seed))


OTHER = signer(ORIGIN, bytes(32))
"""Somebody else's key under the same name."""
KEY = signer().verifier_key


@dataclass
class LogAt:
    """A ledger, its log, and everything that signs and keeps it; by default in memory."""

    ledger: LedgerStore
    archive: LedgerArchive
    log: LogStore
    sums: EpochSums
    vault: Vault
    clock: Ticker = field(default_factory=Ticker)
    limits: CheckpointLimits = field(default_factory=CheckpointLimits)

    def checkpoints(self, by: LocalSigner | None = None, *, late_ms: int = 0) -> Checkpoints:
        """The service as a fresh process has it, whose clock is so much behind."""
        return Checkpoints(
            ledger=self.ledger,
            archive=self.archive,
            log=self.log,
            sums=self.sums,
            signer=by or signer(),
            vault=self.vault,
            clock=lambda: self.clock.now_ms - late_ms,
            limits=self.limits,
        )


def in_memory(limits: CheckpointLimits | None = None) -> LogAt:
    """An empty ledger and an empty log."""
    clock = Ticker()
    ledger = MemoryLedgerStore(clock)
    parts = (
        MemoryLedgerArchive(ledger),
        MemoryLogStore(),
        MemoryEpochSums(ledger, MemoryLedgerWindows(ledger)),
        MemoryVault(),
    )
    return LogAt(ledger, *parts, clock=clock, limits=limits or CheckpointLimits())


async def leaves_of(log: LogStore, size: int) -> list[bytes]:
    """The contents of the first leaves."""
    tiles = await log.tiles([(ENTRIES, index) for index in range(-(-size // TILE_LEAVES))])
    return [leaf for key in sorted(tiles) for leaf in split_leaves(tiles[key])][:size]


async def signed_leaves(at: LogAt) -> list[bytes]:
    """What the last checkpoint covers."""
    return await leaves_of(at.log, (await at.log.state()).state.size)


async def last_checkpoint(at: LogAt) -> Checkpoint:
    """The last checkpoint, verified."""
    return open_checkpoint((await at.log.state()).state.note, KEY)


def epochs_in(leaves: Sequence[bytes]) -> list[Epoch]:
    """The epoch records among leaves."""
    return [record for leaf in leaves if (record := Epoch.read(leaf))]


class Killed(Exception):
    """The process died."""


@dataclass
class FaultyLog:
    """A store that loses appends or their answers, or dies after one, by chance; others get their turn meanwhile."""

    inner: MemoryLogStore
    chance: random.Random = field(default_factory=lambda: chance_of(1))
    lost: float = 0.0
    unacknowledged: float = 0.0
    killed: float = 0.0

    async def state(self) -> KnownState:
        return await self.inner.state()

    async def tiles(self, keys: Iterable[TileKey]) -> Mapping[TileKey, bytes]:
        return await self.inner.tiles(keys)

    async def logged(self, account_ids: Sequence[AccountId]) -> Mapping[AccountId, LoggedHead]:
        return await self.inner.logged(account_ids)

    async def first_statement(self, account_id: AccountId, from_seq: int) -> LoggedHead | None:
        return await self.inner.first_statement(account_id, from_seq)

    async def append(self, append: Append, expected: StateVersion | None) -> StateVersion:
        # In memory nothing else would wait, and runs at once would follow each other.
        await asyncio.sleep(0)
        draw = self.chance.random()
        if draw < self.lost:
            raise CommitLost
        version = await self.inner.append(append, expected)
        if draw < self.lost + self.unacknowledged:
            raise CommitLost
        if draw < self.lost + self.unacknowledged + self.killed:
            raise Killed
        return version

    async def raise_alarm(self, name: str, fields: Mapping[str, str | int]) -> None:
        await self.inner.raise_alarm(name, fields)

    async def alarms_raised(self, names: Sequence[str]) -> frozenset[str]:
        return await self.inner.alarms_raised(names)

    async def clear_alarm(self, name: str) -> None:
        await self.inner.clear_alarm(name)


@dataclass
class FaultyVault:
    """A vault that does not answer, before or after it has filed the note, by chance."""

    inner: MemoryVault
    chance: random.Random = field(default_factory=lambda: chance_of(2))
    lost: float = 0.0
    unacknowledged: float = 0.0

    async def publish(self, size: int, note: str) -> None:
        draw = self.chance.random()
        if draw < self.lost:
            raise VaultUnavailable
        await self.inner.publish(size, note)
        if draw < self.lost + self.unacknowledged:
            raise VaultUnavailable

    async def latest(self) -> Published | None:
        return await self.inner.latest()
