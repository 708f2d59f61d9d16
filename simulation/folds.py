"""Windows folded anew, from raw documents and by hand: what settlement must have posted. No code of the ledger."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from shared.base.ids import EntryId
from simulation.model import NEVER, Line, Ref, State

WINDOW_S = 300
CLEARING = "house:clearing"
DEFERRED = ("house:", "earn:")

WindowKey = tuple[int, int]
"""The band, and the second with which the window begins."""
OwedKey = tuple[int, int, str]
"""A window and one of its payees."""


class Owed(Struct, frozen=True):
    """What one window owes one payee."""

    count: int
    sums: Mapping[str, int]
    root: str

    @property
    def total(self) -> int:
        return sum(self.sums.values())


def band_of(account_id: str) -> int:
    """Of the 64 lanes, sixteen neighbours are a band."""
    return hashlib.sha256(account_id.encode()).digest()[0] % 64 // 16


def window_of(ref: Ref, document: Mapping[str, Any]) -> WindowKey:
    """The window that an entry was committed in."""
    at_s = int(document["committed_at"].timestamp())
    return band_of(ref[0]), at_s // WINDOW_S * WINDOW_S


def owed_by(document: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """What an entry's legs owe each payee, by origin."""
    owed: dict[str, dict[str, int]] = {}
    if document["kind"] == "settle":
        return owed
    for leg in document["legs"]:
        if leg["account"].startswith(DEFERRED):
            sums = owed.setdefault(leg["account"], {})
            sums[leg["origin"]] = sums.get(leg["origin"], 0) + leg["amount_micros"]
    return owed


def fold(entries: Mapping[Ref, Mapping[str, Any]], window: WindowKey, payee: str) -> Owed | None:
    """What a window owes a payee, by all entries that are stored now; None when it owes nothing."""
    sales = []
    for ref, document in entries.items():
        if payee in (sums := owed_by(document)) and window_of(ref, document) == window:
            sales.append((document["hash"], sums[payee]))
    if not sales:
        return None
    sums = {origin: sum(part.get(origin, 0) for _, part in sales) for origin in ("paid", "promo")}
    leaves = [merkle_leaf(_sale(hashed, part)) for hashed, part in sorted(sales, key=lambda sale: sale[0])]
    return Owed(len(sales), sums, merkle_root(leaves).hex())


def settled_window(document: Mapping[str, Any]) -> WindowKey:
    """The window that a settlement says it folds."""
    return int(document["facts"]["band"]), int(document["facts"]["start_s"])


def settlement_id(window: WindowKey) -> EntryId:
    """The id that a window's entry must have on every payee's account."""
    return EntryId(hashlib.sha256(f"settle:{window[0]}:{window[1]}".encode()).hexdigest())


def open_line(at_ms: int) -> tuple[State, Line]:
    """What opening an account comes to."""
    return State(seq=1), Line(1, "open", 0, 0, (), (), None, at_ms)


def settle_line(before: State, owed: Owed, at_ms: int) -> tuple[State, Line]:
    """What posting a fold to its payee comes to; the other side is the clearing account."""
    moved = {origin: amount for origin, amount in owed.sums.items() if amount}
    lots = dict(before.lots)
    for origin, amount in moved.items():
        lots[origin, NEVER] = lots.get((origin, NEVER), 0) + amount
    lots = {key: amount for key, amount in lots.items() if amount}
    after = replace(before, seq=before.seq + 1, lots=lots)
    changes = tuple((origin, NEVER, amount) for origin, amount in sorted(moved.items()))
    legs = tuple((CLEARING, origin, -amount) for origin, amount in sorted(moved.items()))
    return after, Line(after.seq, "settle", sum(moved.values()), after.balance, changes, legs, None, at_ms)


def moment_of(start_s: int) -> datetime:
    """A second as documents state it."""
    return datetime.fromtimestamp(start_s, UTC)


def merkle_leaf(data: bytes) -> bytes:
    """RFC 6962, section 2.1: the hash of a leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962, section 2.1, word by word: split at the largest power of two below the size."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return hashlib.sha256(b"\x01" + merkle_root(leaves[:half]) + merkle_root(leaves[half:])).digest()


class Tree:
    """The same root, leaf by leaf: subtrees of falling sizes, each a power of two, as `merkle_root` splits them."""

    def __init__(self) -> None:
        self._subtrees: list[tuple[int, bytes]] = []

    def grow(self, leaf: bytes) -> None:
        """Take in one more leaf, by its hash. Two subtrees of one size become one."""
        size, right = 1, leaf
        while self._subtrees and self._subtrees[-1][0] == size:
            _, left = self._subtrees.pop()
            size, right = 2 * size, hashlib.sha256(b"\x01" + left + right).digest()
        self._subtrees.append((size, right))

    def root(self) -> bytes:
        """The root over all leaves; there must be one, at least."""
        *before, (_, root) = self._subtrees
        for _, left in reversed(before):
            root = hashlib.sha256(b"\x01" + left + root).digest()
        return root


def netstrings(fields: Sequence[object]) -> bytes:
    """The published encoding of fields: each after its length."""
    return "".join([f"{len(text.encode())}:{text}," for text in map(str, fields)]).encode()


def _sale(entry_hash: str, part: Mapping[str, int]) -> bytes:
    fields: list[object] = ["credence.sale.v1", entry_hash]
    for origin in sorted(part):
        fields += [origin, part[origin]]
    return netstrings(fields)
