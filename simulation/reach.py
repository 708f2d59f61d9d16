"""How a process gets at the servers: every store that production code asks for, each call over the network."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from shared.base.ids import AccountId, EntryId
from shared.ledger.archive import Changes, Stamp
from shared.ledger.documents import Document
from shared.ledger.marks import Alarm, Mark
from shared.ledger.models import Entry
from shared.ledger.store import CommitFailed, EntryRef, HeadWrite, Snapshot, StoreUnavailable, Version
from shared.ledger.windows import Horizons
from shared.proof.errors import CommitLost, SigningFailed, VaultUnavailable
from shared.proof.log import Append, LoggedHead
from shared.proof.note import VerifierKey
from shared.proof.store import KnownState, StateVersion
from shared.proof.sums import Totals
from shared.proof.tiles import TileKey
from shared.proof.vault import Published
from simulation.faults import Faults
from simulation.network import Action, Network, Note
from simulation.servers import Servers

MINTED_MICROS = 7
Value = TypeVar("Value")


class Seen(Struct, frozen=True):
    """Told of whatever took effect on a server, before anything else happens."""

    committed: Callable[[Sequence[HeadWrite], Sequence[Entry]], None]
    settled: Callable[[int, datetime], None]
    appended: Callable[[], None]
    published: Callable[[int], None]
    marked: Callable[[AccountId, Mark], None]
    accused: Callable[[Alarm], None]


class Reach(Struct, frozen=True):
    """One process's way to the servers."""

    network: Network
    servers: Servers
    faults: Faults
    seen: Seen
    note: Note


class ProcessStore:
    """The ledger's documents, for engines."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._store = reach.servers.ledger

    async def read(self, account_ids: Sequence[AccountId], entry_refs: Sequence[EntryRef]) -> Snapshot:
        action = lambda: self._store.read(account_ids, entry_refs)  # noqa: E731
        return await self._reach.network.read(action, failure=StoreUnavailable)

    async def commit(self, heads: Sequence[HeadWrite], entries: Sequence[Entry]) -> Mapping[AccountId, Version]:
        async def commit() -> Mapping[AccountId, Version]:
            versions = await self._store.commit(heads, entries)
            self._reach.seen.committed(heads, entries)
            return versions

        return await self._reach.network.write(commit, failure=CommitFailed, note=self._reach.note)


class ProcessWindows:
    """The ledger's windows, for settlement. A page is the whole window: entries in it do not change any more."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._windows = reach.servers.windows

    async def horizons(self) -> Horizons:
        return await self._reach.network.read(self._windows.horizons, failure=StoreUnavailable)

    async def put_horizon(self, band: int, settled_until: datetime) -> None:
        async def put() -> None:
            await self._windows.put_horizon(band, settled_until)
            self._reach.seen.settled(band, settled_until)

        await self._reach.network.write(put, failure=StoreUnavailable, note=self._reach.note)

    async def first_committed_at(self, band: int, since: datetime | None) -> datetime | None:
        action = lambda: self._windows.first_committed_at(band, since)  # noqa: E731
        return await self._reach.network.read(action, failure=StoreUnavailable)

    async def entries_between(
        self, band: int, since: datetime | None, before: datetime | None
    ) -> AsyncIterator[tuple[EntryRef, Document]]:
        async def page() -> list[tuple[EntryRef, Document]]:
            return [found async for found in self._windows.entries_between(band, since, before)]

        for found in await self._reach.network.read(page, failure=StoreUnavailable):
            yield found

    async def existing(self, refs: Sequence[EntryRef], *, read_at: datetime) -> frozenset[EntryRef]:
        action = lambda: self._windows.existing(refs, read_at=read_at)  # noqa: E731
        return await self._reach.network.read(action, failure=StoreUnavailable)


class ProcessArchive:
    """What the archive tells checkpoints and the audit. They ask it for nothing else."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._archive = reach.servers.archive

    async def changed_after(self, lanes: Sequence[int], after: Stamp | None, limit: int) -> Changes:
        return await self._ask(lambda: self._archive.changed_after(lanes, after, limit))

    async def head_documents(self, account_ids: Sequence[AccountId]) -> Mapping[AccountId, Document]:
        return await self._ask(lambda: self._archive.head_documents(account_ids))

    async def entry_documents(
        self, account_id: AccountId, after_seq: int = 0
    ) -> AsyncIterator[tuple[EntryId, Document]]:
        async def page() -> list[tuple[EntryId, Document]]:
            return [found async for found in self._archive.entry_documents(account_id, after_seq)]

        for found in await self._ask(page):
            yield found

    async def entries_named(self, refs: Sequence[EntryRef]) -> Mapping[EntryRef, Document]:
        return await self._ask(lambda: self._archive.entries_named(refs)) if refs else {}

    async def _ask(self, action: Action[Value]) -> Value:
        return await self._reach.network.read(action, failure=StoreUnavailable)


class ProcessMarks:
    """The audit's notes."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._marks = reach.servers.marks

    async def marks_of(self, account_ids: Sequence[AccountId]) -> Mapping[AccountId, Mark]:
        return await self._reach.network.read(lambda: self._marks.marks_of(account_ids), failure=StoreUnavailable)

    async def cursors(self, bands: int) -> Mapping[int, Stamp]:
        return await self._reach.network.read(lambda: self._marks.cursors(bands), failure=StoreUnavailable)

    async def open_alarms(self, limit: int) -> list[Alarm]:
        return await self._reach.network.read(lambda: self._marks.open_alarms(limit), failure=StoreUnavailable)

    async def put_mark(self, account_id: AccountId, mark: Mark) -> None:
        async def put() -> None:
            await self._marks.put_mark(account_id, mark)
            self._reach.seen.marked(account_id, mark)

        await self._reach.network.write(put, failure=StoreUnavailable, note=self._reach.note)

    async def put_cursor(self, band: int, stamp: Stamp) -> None:
        action = lambda: self._marks.put_cursor(band, stamp)  # noqa: E731
        await self._reach.network.write(action, failure=StoreUnavailable, note=self._reach.note)

    async def put_alarm(self, alarm: Alarm) -> None:
        # Whether or not it arrives: an honest ledger is never accused.
        self._reach.seen.accused(alarm)
        action = lambda: self._marks.put_alarm(alarm)  # noqa: E731
        await self._reach.network.write(action, failure=StoreUnavailable, note=self._reach.note)


class ProcessLog:
    """The public log's documents."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._log = reach.servers.log

    async def state(self) -> KnownState:
        return await self._reach.network.read(self._log.state, failure=StoreUnavailable)

    async def tiles(self, keys: Iterable[TileKey]) -> Mapping[TileKey, bytes]:
        wanted = list(keys)
        return await self._reach.network.read(lambda: self._log.tiles(wanted), failure=StoreUnavailable)

    async def logged(self, account_ids: Sequence[AccountId]) -> Mapping[AccountId, LoggedHead]:
        return await self._reach.network.read(lambda: self._log.logged(account_ids), failure=StoreUnavailable)

    async def first_statement(self, account_id: AccountId, from_seq: int) -> LoggedHead | None:
        action = lambda: self._log.first_statement(account_id, from_seq)  # noqa: E731
        return await self._reach.network.read(action, failure=StoreUnavailable)

    async def append(self, append: Append, expected: StateVersion | None) -> StateVersion:
        async def grow() -> StateVersion:
            version = await self._log.append(append, expected)
            self._reach.seen.appended()
            return version

        return await self._reach.network.write(grow, failure=CommitLost, note=self._reach.note)

    async def raise_alarm(self, name: str, fields: Mapping[str, str | int]) -> None:
        action = lambda: self._log.raise_alarm(name, fields)  # noqa: E731
        await self._reach.network.write(action, failure=StoreUnavailable, note=self._reach.note)

    async def alarms_raised(self, names: Sequence[str]) -> frozenset[str]:
        return await self._reach.network.read(lambda: self._log.alarms_raised(names), failure=StoreUnavailable)

    async def clear_alarm(self, name: str) -> None:
        action = lambda: self._log.clear_alarm(name)  # noqa: E731
        await self._reach.network.write(action, failure=StoreUnavailable, note=self._reach.note)


class ProcessVault:
    """Where notes are published."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._vault = reach.servers.vault

    async def publish(self, size: int, note: str) -> None:
        async def file() -> None:
            await self._vault.publish(size, note)
            self._reach.seen.published(size)

        await self._reach.network.write(file, failure=VaultUnavailable, note=self._reach.note)

    async def latest(self) -> Published | None:
        return await self._reach.network.read(self._vault.latest, failure=VaultUnavailable)


class ProcessSigner:
    """The key, which stays with the servers."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    @property
    def verifier_key(self) -> VerifierKey:
        return self._reach.servers.signer.verifier_key

    async def sign(self, message: bytes) -> bytes:
        action = lambda: self._reach.servers.signer.sign(message)  # noqa: E731
        return await self._reach.network.read(action, failure=SigningFailed)


MINTED: ContextVar[list[bool]] = ContextVar("minted")
"""For each sums that a run of the checkpoint asked for, whether they were minted: nothing may be signed over such. One
list for each run, since a run that fails leaves reads behind, which are answered while the next one is under way."""


class ProcessSums:
    """The sums of the ledger as of one moment, in which credits come from nowhere now and then."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    async def totals(self) -> Totals:
        totals = await self._reach.network.read(self._reach.servers.sums.totals, failure=StoreUnavailable)
        minted = self._reach.faults.happens(self._reach.faults.rates.minted)
        MINTED.get().append(minted)
        return replace(totals, balances_micros=totals.balances_micros + MINTED_MICROS * minted)
