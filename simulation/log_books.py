"""What checkpoints promise, checked on the log's raw documents after every append and every publishing.

Leaves, roots, statements and notes are read and computed here a second time, by the published formats.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct, field

from simulation.books import Books
from simulation.folds import merkle_leaf, merkle_root, netstrings
from simulation.judge import Violation
from simulation.servers import LOG_KEY, LOG_ORIGIN

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
    leaves: list[bytes] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
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
        leaves = leaves_of(self.tiles)
        _require(len(leaves) == state["size"], f"the log states {state['size']} leaves and has {len(leaves)}")
        _require(leaves[: len(self.leaves)] == self.leaves, "leaves of the log were changed or taken away")
        added = leaves[len(self.leaves) :]
        _require(bool(added), "an append added nothing")
        self.leaves += added
        self.hashes += [merkle_leaf(leaf) for leaf in added]
        _require(state["root"] == merkle_root(self.hashes).hex(), "the log states another root than its leaves have")
        for index in range(len(leaves) - len(added), len(leaves)):
            if not leaves[index].startswith(b"credence.epoch.v1\n"):
                self._see_statement(index)
        self._see_signed(state["size"], state["note"])

    def see_published(self, size: int) -> None:
        """A note in the vault must be one that the log was signed with."""
        _require(self.notes[size] == self.signed.get(size), f"a note of size {size} was published and never signed")

    def see_end(self) -> None:
        """When the faults have stopped: everything is stated, signed and published."""
        for account_id, head in self.books.heads.items():
            said = self.heads.get(account_id, {})
            stated = (said.get("seq"), said.get("hash"), said.get("balance_micros"))
            stands = (head["seq"], head["hash"], head["balance_micros"])
            _require(stated == stands, f"the last checkpoint says {stated} of {account_id}, which is {stands}")
        _require(self.last_size == len(self.leaves), "leaves of the log are left unsigned")
        _require(self.notes == self.signed, "not every note that was signed is in the vault")

    def _see_statement(self, index: int) -> None:
        """A leaf about an account: an entry that stands, later than the one stated before."""
        named = [key for key, document in self.statements.items() if document["leaf_index"] == index]
        _require(len(named) == 1, f"leaf {index} states {named}")
        account_id, seq = named[0]
        document = self.statements[account_id, seq]
        fields = [account_id, seq, document["hash"], document["balance_micros"], document["at_ms"]]
        digest = hashlib.sha256(netstrings(["credence.head.v1", *fields])).hexdigest()
        _require(self.leaves[index] == f"credence.head.v1\n{digest}\n".encode(), f"leaf {index} says something else")
        _require(seq > self.stated.get(account_id, 0), f"entry {seq} of {account_id} was stated again or too late")
        self.stated[account_id] = seq
        entries = self.books.chains[account_id]
        stands = entries[seq - 1] if seq <= len(entries) else ("", 0)
        _require((document["hash"], document["balance_micros"]) == stands, f"{fields} was stated and never was")

    def _see_signed(self, size: int, note: str) -> None:
        """A checkpoint: the root of the whole log, whose last leaf is an epoch record that balances."""
        text, _, signature = note.partition("\n\n")
        root = base64.b64encode(merkle_root(self.hashes)).decode()
        _require(text == f"{LOG_ORIGIN}\n{size}\n{root}", f"the checkpoint of size {size} says {text!r}")
        # Ed25519 leaves nothing to chance, so a text has one signature; making it anew is cheaper than verifying.
        right = LOG_KEY.sign(f"{text}\n".encode())
        said = base64.b64decode(signature.split(" ")[-1])[KEY_ID_BYTES:]
        _require(said == right, f"the checkpoint of size {size} is not signed")
        self._see_epoch(record_of(self.leaves[-1]), self.leaves[self.last_size : -1])
        _require(size > self.last_size, "a checkpoint of an older log was signed")
        self.signed[size] = note
        self.last_size = size

    def _see_epoch(self, record: Mapping[str, int], since: list[bytes]) -> None:
        _require(record["epoch"] == self.epoch + 1, f"epoch {record['epoch']} follows {self.epoch}")
        _require(record["balances"] + record["unsettled"] == 0, f"the books of epoch {record['epoch']} do not balance")
        _require(record["heads"] == len(since), f"epoch {record['epoch']} counts {record['heads']} of {len(since)}")
        _require(all(leaf.startswith(b"credence.head.v1\n") for leaf in since), "an epoch record was never signed")
        said = (record["accounts"], record["balances"], record["unsettled"])
        moments = self.books.moments
        while self.moment < len(moments) and moments[self.moment] != said:
            self.moment += 1
        _require(self.moment < len(moments), f"epoch {record['epoch']} states sums {said} that never were, or before")
        self.epoch = record["epoch"]


def leaves_of(tiles: Mapping[tuple[int, int], bytes]) -> list[bytes]:
    """The contents of all leaves: in the bundles of level -1, each after its length in two bytes."""
    leaves = []
    for _, bundle in sorted((index, bundle) for (level, index), bundle in tiles.items() if level == -1):
        at = 0
        while at < len(bundle):
            end = at + 2 + int.from_bytes(bundle[at : at + 2], "big")
            leaves.append(bundle[at + 2 : end])
            at = end
    return leaves


def record_of(leaf: bytes) -> Mapping[str, int]:
    """The epoch record in a leaf."""
    tag, *lines = leaf.decode().splitlines()
    names = tuple(line.split(" ")[0] for line in lines)
    _require((tag, names) == ("credence.epoch.v1", EPOCH_FIELDS), f"a checkpoint ends with the leaf {leaf!r}")
    return {line.split(" ")[0]: int(line.split(" ")[1]) for line in lines}


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise Violation(what)
