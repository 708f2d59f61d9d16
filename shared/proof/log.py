"""The public log: what its leaves say, and how it grows. One append-only Merkle log for all accounts.

A leaf about an account is a digest, so the log shows neither who has an account nor what is on it; only the account's
owner can open it, with the statement in a receipt. An epoch record is in clear: anybody can see that all balances and
all legs still to be settled cancel. Both are text in lines, and nothing else is ever a leaf.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Self

from msgspec import Struct
from msgspec.structs import replace

from shared.base.ids import AccountId
from shared.base.merkle import EMPTY_ROOT, root_at
from shared.ledger.archive import Stamp
from shared.ledger.chain import digest
from shared.proof.errors import LogBroken
from shared.proof.note import VerifierKey, open_checkpoint
from shared.proof.tiles import (
    ENTRIES,
    TILE_LEAVES,
    Tile,
    TileKey,
    Tiles,
    append_leaves,
    cut,
    edge_after,
    reader_of,
    split_leaves,
    tile_widths,
)

HEAD_TAG = "credence.head.v1"
EPOCH_TAG = "credence.epoch.v1"
_EPOCH_FIELDS = ("epoch", "accounts", "balances", "unsettled", "heads", "at_ms")
_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,29}")


class Statement(Struct, frozen=True):
    """What we say of an account: its last entry, that entry's hash, its balance, and when we looked."""

    account_id: AccountId
    seq: int
    hash: str
    balance_micros: int
    at_ms: int

    @property
    def leaf(self) -> bytes:
        """The statement in the log. The hash in it is of an entry that nobody can guess, so neither is the digest."""
        fields = (self.account_id, str(self.seq), self.hash, str(self.balance_micros), str(self.at_ms))
        return f"{HEAD_TAG}\n{digest(HEAD_TAG, fields)}\n".encode()


class Epoch(Struct, frozen=True):
    """What we say of the whole ledger at one moment; `heads` counts the statements since the epoch before."""

    epoch: int
    accounts: int
    balance_micros: int
    unsettled_micros: int
    heads: int
    at_ms: int

    @property
    def leaf(self) -> bytes:
        """The record in the log."""
        values = (self.epoch, self.accounts, self.balance_micros, self.unsettled_micros, self.heads, self.at_ms)
        lines = [f"{name} {value}" for name, value in zip(_EPOCH_FIELDS, values, strict=True)]
        return "".join(f"{line}\n" for line in (EPOCH_TAG, *lines)).encode()

    @classmethod
    def read(cls, leaf: bytes) -> Self | None:
        """The record in a leaf, if it is one exactly as we write it."""
        lines = leaf.decode("utf-8", "replace").split("\n")
        names = [line.partition(" ")[0] for line in lines[1:-1]]
        values = [line.partition(" ")[2] for line in lines[1:-1]]
        if names != [*_EPOCH_FIELDS] or not all(_NUMBER.fullmatch(value) for value in values):
            return None
        record = cls(*map(int, values))
        return record if record.leaf == leaf else None


class LogState(Struct, frozen=True):
    """How far the log has come, and how far its operator has read the ledger."""

    size: int = 0
    root: str = EMPTY_ROOT.hex()
    epoch: int = 0
    """The number of its last leaf, which is an epoch record."""
    note: str = ""
    """The signed checkpoint over all of it. There is no leaf that is not signed."""
    cursors: Mapping[int, Stamp] = {}
    """Up to where each band of lanes was read for changed accounts."""
    at_ms: int = 0


class LoggedHead(Struct, frozen=True):
    """A statement and the place of its leaf."""

    statement: Statement
    leaf_index: int


class Append(Struct, frozen=True):
    """All that one commit writes: what the log is after it, the tiles that changed, the statements that were added."""

    state: LogState
    tiles: Mapping[TileKey, bytes]
    heads: Sequence[LoggedHead]


def append_epoch(state: LogState, edge: Tiles, statements: Sequence[Statement], record: Epoch) -> Append:
    """The log with these statements and the record at its end, not signed yet.

    Raise TileWrong when `edge` is not this log's.
    """
    leaves = [*(statement.leaf for statement in statements), record.leaf]
    changed = append_leaves(state.size, edge, leaves)
    size = state.size + len(leaves)
    root = root_at(size, reader_of(edge_after(size, edge, changed)))
    grown = replace(state, size=size, root=root.hex(), epoch=record.epoch, note="", at_ms=record.at_ms)
    logged = [LoggedHead(statement, state.size + index) for index, statement in enumerate(statements)]
    return Append(grown, changed, logged)


def signed(append: Append, note: str, cursors: Mapping[int, Stamp]) -> Append:
    """The append with the checkpoint over it, and the cursors that it allows to move."""
    return replace(append, state=replace(append.state, note=note, cursors=cursors))


def tiles_to_extend(size: int) -> set[TileKey]:
    """The tiles that `checked_edge` reads: those partly filled, and the one with the last leaf."""
    return {*tile_widths(size), (ENTRIES, (size - 1) // TILE_LEAVES)} if size else set()


def checked_edge(state: LogState, stored: Tiles, key: VerifierKey) -> Tiles:
    """The partly filled tiles of the log at this state, whatever was appended to them since.

    Raise LogBroken, TileWrong or NoteWrong unless the stored tiles lead to the root that was signed last, and the last
    leaf is the epoch record that the state names: whoever can write the state must not have us sign what we never said.
    """
    edge = {place: cut(Tile(*place, width), stored.get(place, b"")) for place, width in tile_widths(state.size).items()}
    if not state.size:
        return edge
    note = open_checkpoint(state.note, key)
    root = root_at(state.size, reader_of(edge))
    if root.hex() != state.root:
        raise LogBroken("the stored tiles do not lead to the root of the log's state")
    if (note.size, note.root) != (state.size, root):
        raise LogBroken("the log is not the one that was signed last")
    last = split_leaves(stored.get((ENTRIES, (state.size - 1) // TILE_LEAVES), b""))
    leaf = last[(state.size - 1) % TILE_LEAVES] if len(last) > (state.size - 1) % TILE_LEAVES else b""
    record = Epoch.read(leaf)
    if record is None or record.epoch != state.epoch:
        raise LogBroken("the log does not end with the epoch that its state names")
    return edge
