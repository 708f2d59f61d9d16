"""The log's store, vault and sums in memory: the same promises as those of production, for tests and simulation."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from shared.base.ids import AccountId
from shared.ledger.memory import MemoryLedgerStore
from shared.ledger.unsettled import count_unsettled
from shared.ledger.windows import LedgerWindows
from shared.proof.errors import CommitLost, VaultConflict
from shared.proof.log import Append, LoggedHead, LogState
from shared.proof.store import KnownState, StateVersion, logged_document, logged_from, state_document, state_from
from shared.proof.sums import Totals
from shared.proof.tiles import TileKey
from shared.proof.vault import Published


class MemoryLogStore:
    """The log's documents in dictionaries, so that conversion is exercised and a test can tamper with them."""

    def __init__(self) -> None:
        self.state_fields: dict[str, Any] | None = None
        self.tile_bytes: dict[TileKey, bytes] = {}
        self.heads: dict[AccountId, dict[str, Any]] = {}
        self.stated: dict[tuple[AccountId, int], dict[str, Any]] = {}
        self.alarms: dict[str, dict[str, Any]] = {}
        self._commits = 0

    async def state(self) -> KnownState:
        if self.state_fields is None:
            return KnownState(LogState(), None)
        return KnownState(state_from(self.state_fields), StateVersion(self._commits))

    async def tiles(self, keys: Iterable[TileKey]) -> Mapping[TileKey, bytes]:
        return {key: self.tile_bytes[key] for key in keys if key in self.tile_bytes}

    async def logged(self, account_ids: Sequence[AccountId]) -> Mapping[AccountId, LoggedHead]:
        return {name: logged_from(name, self.heads[name]) for name in account_ids if name in self.heads}

    async def first_statement(self, account_id: AccountId, from_seq: int) -> LoggedHead | None:
        seqs = [seq for owner, seq in self.stated if owner == account_id and seq >= from_seq]
        return logged_from(account_id, self.stated[account_id, min(seqs)]) if seqs else None

    async def statements(self) -> AsyncIterator[LoggedHead]:
        for (account_id, _), fields in list(self.stated.items()):
            yield logged_from(account_id, fields)

    async def append(self, append: Append, expected: StateVersion | None) -> StateVersion:
        if expected != (None if self.state_fields is None else StateVersion(self._commits)):
            raise CommitLost
        self._commits += 1
        self.state_fields = state_document(append.state)
        self.tile_bytes |= append.tiles
        for head in append.heads:
            statement = head.statement
            self.heads[statement.account_id] = logged_document(head)
            self.stated[statement.account_id, statement.seq] = logged_document(head)
        return StateVersion(self._commits)

    async def raise_alarm(self, name: str, fields: Mapping[str, str | int]) -> None:
        self.alarms[name] = {**fields, "raised": True}

    async def alarms_raised(self, names: Sequence[str]) -> frozenset[str]:
        return frozenset(name for name in names if self.alarms.get(name, {}).get("raised"))

    async def clear_alarm(self, name: str) -> None:
        self.alarms[name]["raised"] = False


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


class MemoryEpochSums:
    """The sums of a ledger in memory."""

    def __init__(self, store: MemoryLedgerStore, windows: LedgerWindows) -> None:
        self._store = store
        self._windows = windows

    async def totals(self) -> Totals:
        unsettled = await count_unsettled(self._windows, await self._windows.horizons())
        balances = sum(document["balance_micros"] for document in self._store.heads.values())
        return Totals(len(self._store.heads), balances, unsettled.micros)
