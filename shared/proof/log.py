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
from shared.base.merkle import EMPTY_ROOT, consistency_spans, prove_consistency, root_at, verify_consistency
from shared.ledger.archive import Stamp
from shared.ledger.chain import digest
from shared.proof.note import Checkpoint
from shared.proof.tiles import TileKey, Tiles, append_leaves, edge_after, reader_of, tiles_of

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
    heads: int = 0
    """Statements since the last epoch record."""
    signed_size: int = 0
    note: str = ""
    """The last signed checkpoint, over `signed_size` leaves, of which the last one is an epoch record."""
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


def append_statements(state: LogState, edge: Tiles, statements: Sequence[Statement], *, at_ms: int) -> Append:
    """The log with these statements at its end, not signed yet. Raise TileWrong when `edge` is not this log's."""
    grown = _grow(state, edge, [statement.leaf for statement in statements], at_ms=at_ms)
    logged = [LoggedHead(statement, state.size + index) for index, statement in enumerate(statements)]
    return Append(replace(grown.state, heads=state.heads + len(statements)), grown.tiles, logged)


def append_epoch(before: Append, edge: Tiles, record: Epoch) -> Append:
    """The same append with an epoch record after its statements. `edge` is that of the log before the append."""
    state = before.state
    grown = _grow(state, edge_after(state.size, edge, before.tiles), [record.leaf], at_ms=record.at_ms)
    tiles = {**before.tiles, **grown.tiles}
    return Append(replace(grown.state, epoch=record.epoch, heads=0), tiles, before.heads)


def signed(append: Append, note: str, cursors: Mapping[int, Stamp]) -> Append:
    """The append with the checkpoint over it, and the cursors that it allows to move."""
    state = append.state
    return replace(append, state=replace(state, signed_size=state.size, note=note, cursors=cursors))


def check_extends(old: Checkpoint, size: int, root: bytes, tiles: Tiles) -> None:
    """Raise ProofWrong or TileWrong unless the tiles show the log of `size` to begin with that of the checkpoint."""
    proof = prove_consistency(old.size, size, reader_of(tiles)) if old.size <= size else []
    verify_consistency(proof, old_size=old.size, old_root=old.root, new_size=size, new_root=root)


def tiles_to_extend(old_size: int, size: int) -> set[TileKey]:
    """The tiles that `check_extends` reads."""
    return tiles_of(consistency_spans(old_size, size)) if old_size <= size else set()


def _grow(state: LogState, edge: Tiles, leaves: Sequence[bytes], *, at_ms: int) -> Append:
    if not leaves:
        return Append(replace(state, at_ms=at_ms), {}, ())
    changed = append_leaves(state.size, edge, leaves)
    size = state.size + len(leaves)
    root = root_at(size, reader_of(edge_after(size, edge, changed)))
    return Append(replace(state, size=size, root=root.hex(), at_ms=at_ms), changed, ())
