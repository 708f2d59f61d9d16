"""Holds the ledger's documents against the log as it was signed: what an administrator rewrote consistently, shows.

The log's leaves must lead to the root that a checkpoint signs; every statement that is kept must be a leaf, and every
leaf about an account must be a statement that is kept; what a statement says of an account must still be so; and
nothing may have stood for long without one, for whoever keeps an account out of the log can rewrite it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Self

from msgspec import Struct, field

from shared.base.ids import AccountId
from shared.base.merkle import leaf_hash, root_of
from shared.ledger.documents import Document
from shared.ledger.errors import ChainBroken
from shared.ledger.legs import broken_at
from shared.ledger.models import Entry
from shared.proof.errors import LogBroken
from shared.proof.log import Epoch, Statement
from shared.proof.note import Checkpoint
from shared.proof.store import LogStore
from shared.proof.tiles import ENTRIES, TILE_LEAVES, split_leaves

STATED_WITHIN_MS = 3_600_000
"""How long after its commit an entry must be covered by a statement. A run takes in thousands of accounts each minute,
so none waits for as long, not even after a stop."""


class SignedLog(Struct, frozen=True):
    """What a checkpoint covers: how many epochs, when the last was, and every statement about an account by number."""

    epochs: int
    signed_at_ms: int
    statements: Mapping[tuple[AccountId, int], Statement]


class StatementCheck(Struct):
    """Checks, while a ledger is walked, that each account still is what was signed of it, and that all of it was."""

    statements: dict[tuple[AccountId, int], Statement] = field(default_factory=dict)
    due_before_ms: int = 0
    """Entries committed before must be covered by a statement."""
    stated: dict[AccountId, int] = field(default_factory=dict)
    """The last entry of each account that a statement covers."""

    @classmethod
    def against(cls, signed: SignedLog) -> Self:
        """The check of a ledger against what was signed of it."""
        stated: dict[AccountId, int] = {}
        for account_id, seq in signed.statements:
            stated[account_id] = max(seq, stated.get(account_id, 0))
        return cls(dict(signed.statements), signed.signed_at_ms - STATED_WITHIN_MS, stated)

    def add(self, entry: Entry, document: Document) -> None:
        """Take in one entry. Raise ChainBroken when another one was signed in its place, or nothing was in due time."""
        statement = self.statements.pop((entry.account_id, entry.seq), None)
        if statement is not None and (statement.hash, statement.balance_micros) != (entry.hash, entry.balance_micros):
            reason = "is not the one that was signed: the account was rewritten"
            raise broken_at(entry, reason)
        if entry.seq > self.stated.get(entry.account_id, 0):
            committed_at = document.get("committed_at")
            if isinstance(committed_at, datetime) and committed_at.timestamp() * 1000 < self.due_before_ms:
                raise broken_at(entry, "was not signed long after it was posted: its account was kept out of the log")

    def faults(self) -> list[ChainBroken]:
        """Every account that does not reach any more what was signed of it."""
        missing = dict(sorted(self.statements))
        return [
            ChainBroken(f"was cut back: entry {seq} was signed and is gone", account_id=account_id, seq=seq)
            for account_id, seq in missing.items()
        ]


async def read_signed(log: LogStore, checkpoint: Checkpoint) -> SignedLog:
    """All that a checkpoint signs, out of the stored log. Raise LogBroken when the log is not the one it signs."""
    tiles = await log.tiles([(ENTRIES, index) for index in range(-(-checkpoint.size // TILE_LEAVES))])
    leaves = [leaf for key in sorted(tiles) for leaf in split_leaves(tiles[key])][: checkpoint.size]
    if root_of([leaf_hash(leaf) for leaf in leaves]) != checkpoint.root:
        raise LogBroken("the stored leaves do not lead to the root that the checkpoint signs")
    epochs = _epochs_in(leaves)
    about_accounts = {index for index, leaf in enumerate(leaves) if Epoch.read(leaf) is None}
    statements: dict[tuple[AccountId, int], Statement] = {}
    async for head in log.statements():
        index, said = head.leaf_index, head.statement
        if index >= checkpoint.size:
            continue
        if index < 0 or said.leaf != leaves[index]:
            raise LogBroken(f"a statement about {said.account_id} claims leaf {index} and was changed, or never logged")
        about_accounts.discard(index)
        other = statements.setdefault((said.account_id, said.seq), said)
        if (other.hash, other.balance_micros) != (said.hash, said.balance_micros):
            # Whoever takes away what was said of an account has it stated anew, with what it was rewritten to.
            raise LogBroken(f"of entry {said.seq} of {said.account_id} two different things were signed")
    if about_accounts:
        raise LogBroken(f"leaf {min(about_accounts)} is a statement about an account that is not kept")
    return SignedLog(len(epochs), epochs[-1].at_ms if epochs else 0, statements)


def _epochs_in(leaves: Sequence[bytes]) -> list[Epoch]:
    """The epochs. Raise LogBroken unless they follow each other, count what is between, and balance."""
    epochs: list[Epoch] = []
    heads = 0
    for index, leaf in enumerate(leaves):
        record = Epoch.read(leaf)
        if record is None:
            heads += 1
            continue
        epochs.append(record)
        for holds, reason in (
            (record.epoch == len(epochs), f"is numbered {record.epoch} and comes as {len(epochs)}"),
            (record.heads == heads, f"counts {record.heads} statements where there are {heads}"),
            (record.balance_micros + record.unsettled_micros == 0, "does not balance"),
        ):
            if not holds:
                raise LogBroken(f"the epoch record at leaf {index} {reason}")
        heads = 0
    return epochs
