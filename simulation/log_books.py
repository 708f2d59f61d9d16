"""What checkpoints promise, checked on the log's raw documents after every append and every publishing.

Leaves, roots, statements and notes are read and computed here a second time, by the published formats.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct, field

from simulation.books import Books
from simulation.folds import Tree, merkle_leaf, merkle_root, netstrings
from simulation.judge import Violation
from simulation.servers import LOG_ORIGIN, signature_of

EPOCH_FIELDS = ("epoch", "accounts", "balances", "unsettled", "heads", "at_ms")
KEY_ID_BYTES = 4


class LogBooks(Struct):
    """The log's documents as they stand, and what was in them before."""

    books: Books
    state: Callable[[], Mapping[str, Any] | None]
    tiles: Mapping[tuple[int, int], bytes]
    heads: Mapping[Any, Mapping[str, Any]]
    statements: Mapping[tuple[Any, int], Mapping[str, Any]]
    notes: Mapping[int, str]
    bundles: bytes = b""
    """The contents of all leaves as they are stored."""
    leaves: list[bytes] = field(default_factory=list)
    tree: Tree = field(default_factory=Tree)
    signed: dict[int, str] = field(default_factory=dict)
    """The note over each size that was ever signed."""
    last_size: int = 0
    """The size that was signed last."""
    epoch: int = 0
    moment: int = 0
    """Which of the ledger's moments the last epoch record is about."""
    stated: dict[Any, int] = field(default_factory=dict)
    """The entry that was last stated of each account."""

    def see_append(self) -> None:
        """Check all that one append can have broken."""
        state = self.state() or {}
        bundles = bundles_of(self.tiles)
        _require(bundles.startswith(self.bundles), "leaves of the log were changed or taken away")
        added = leaves_in(bundles[len(self.bundles) :])
        _require(bool(added), "an append added nothing")
        self.bundles = bundles
        self.leaves += added
        for leaf in added:
            self.tree.grow(merkle_leaf(leaf))
        size = len(self.leaves)
        if size != state["size"]:
            raise Violation(f"the log states {state['size']} leaves and has {size}")
        _require(state["root"] == self.tree.root().hex(), "the log states another root than its leaves have")
        for index in range(size - len(added), size):
            if not self.leaves[index].startswith(b"credence.epoch.v1\n"):
                self._see_statement(index)
        self._see_signed(state["size"], state["note"])

    def see_published(self, size: int) -> None:
        """A note in the vault must be one that the log was signed with."""
        if self.notes[size] != self.signed.get(size):
            raise Violation(f"a note of size {size} was published and never signed")

    def see_end(self) -> None:
        """When the faults have stopped: everything is stated, signed and published."""
        for account_id, head in self.books.heads.items():
            said = self.heads.get(account_id, {})
            stated = (said.get("seq"), said.get("hash"), said.get("balance_micros"))
            stands = (head["seq"], head["hash"], head["balance_micros"])
            if stated != stands:
                raise Violation(f"the last checkpoint says {stated} of {account_id}, which is {stands}")
        _require(self.last_size == len(self.leaves), "leaves of the log are left unsigned")
        _require(self.notes == self.signed, "not every note that was signed is in the vault")
        whole = merkle_root([merkle_leaf(leaf) for leaf in self.leaves])
        _require(self.tree.root() == whole, "the root that was grown leaf by leaf is not that of the whole")

    def _see_statement(self, index: int) -> None:
        """A leaf about an account: an entry that stands, later than the one stated before."""
        named = [key for key, document in self.statements.items() if document["leaf_index"] == index]
        if len(named) != 1:
            raise Violation(f"leaf {index} states {named}")
        account_id, seq = named[0]
        document = self.statements[account_id, seq]
        fields = [account_id, seq, document["hash"], document["balance_micros"], document["at_ms"]]
        digest = hashlib.sha256(netstrings(["credence.head.v1", *fields])).hexdigest()
        if self.leaves[index] != f"credence.head.v1\n{digest}\n".encode():
            raise Violation(f"leaf {index} says something else")
        if seq <= self.stated.get(account_id, 0):
            raise Violation(f"entry {seq} of {account_id} was stated again or too late")
        self.stated[account_id] = seq
        entries = self.books.chains[account_id]
        stands = entries[seq - 1] if seq <= len(entries) else ("", 0)
        if (document["hash"], document["balance_micros"]) != stands:
            raise Violation(f"{fields} was stated and never was")

    def _see_signed(self, size: int, note: str) -> None:
        """A checkpoint: the root of the whole log, whose last leaf is an epoch record that balances."""
        text, _, signature = note.partition("\n\n")
        root = base64.b64encode(self.tree.root()).decode()
        if text != f"{LOG_ORIGIN}\n{size}\n{root}":
            raise Violation(f"the checkpoint of size {size} says {text!r}")
        # Ed25519 leaves nothing to chance, so a text has one signature; making it anew is cheaper than verifying.
        right = signature_of(f"{text}\n".encode())
        if base64.b64decode(signature.split(" ")[-1])[KEY_ID_BYTES:] != right:
            raise Violation(f"the checkpoint of size {size} is not signed")
        self._see_epoch(record_of(self.leaves[-1]), self.leaves[self.last_size : -1])
        _require(size > self.last_size, "a checkpoint of an older log was signed")
        self.signed[size] = note
        self.last_size = size

    def _see_epoch(self, record: Mapping[str, int], since: list[bytes]) -> None:
        if record["epoch"] != self.epoch + 1:
            raise Violation(f"epoch {record['epoch']} follows {self.epoch}")
        if record["balances"] + record["unsettled"]:
            raise Violation(f"the books of epoch {record['epoch']} do not balance")
        if record["heads"] != len(since):
            raise Violation(f"epoch {record['epoch']} counts {record['heads']} of {len(since)}")
        _require(all(leaf.startswith(b"credence.head.v1\n") for leaf in since), "an epoch record was never signed")
        said = (record["accounts"], record["balances"], record["unsettled"])
        moments = self.books.moments
        while self.moment < len(moments) and moments[self.moment] != said:
            self.moment += 1
        if self.moment == len(moments):
            raise Violation(f"epoch {record['epoch']} states sums {said} that never were, or before")
        self.epoch = record["epoch"]


def bundles_of(tiles: Mapping[tuple[int, int], bytes]) -> bytes:
    """The contents of all leaves as they are stored: the bundles of level -1, one after the other."""
    return b"".join(bundle for _, bundle in sorted((key[1], tile) for key, tile in tiles.items() if key[0] == -1))


def leaves_in(bundles: bytes) -> list[bytes]:
    """The contents of leaves, each stored after its length in two bytes."""
    leaves = []
    at = 0
    while at < len(bundles):
        end = at + 2 + int.from_bytes(bundles[at : at + 2], "big")
        leaves.append(bundles[at + 2 : end])
        at = end
    return leaves


def record_of(leaf: bytes) -> Mapping[str, int]:
    """The epoch record in a leaf."""
    tag, *lines = leaf.decode().splitlines()
    names = tuple(line.split(" ")[0] for line in lines)
    if (tag, names) != ("credence.epoch.v1", EPOCH_FIELDS):
        raise Violation(f"a checkpoint ends with the leaf {leaf!r}")
    return {line.split(" ")[0]: int(line.split(" ")[1]) for line in lines}


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise Violation(what)
