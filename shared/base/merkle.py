"""Merkle trees over a list of leaves: roots, proofs that a leaf is in, and proofs that nothing before was changed.

Hashing and proofs are those of RFC 6962, section 2.1; verification follows RFC 9162, sections 2.1.3.2 and 2.1.4.2. Leaf
and node hashes are kept apart by their first byte, so no leaf passes for a node. A node is named by its level (leaves
are level 0) and its index in it; only full nodes, those over 2**level leaves, have names.
"""

import hashlib
from collections.abc import Callable, Sequence

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256().digest()
"""The root over no leaves."""
SIZE_MAX = 2**63 - 1
"""Sizes and indexes stay within a signed 64-bit integer, like those of every other implementation."""

Node = tuple[int, int]
"""Level and index of a full node."""
Span = tuple[int, int]
"""First leaf of a subtree, and the leaf after its last one."""
HashReader = Callable[[int, int], bytes]
"""Gives the hash of the full node at a level and index."""


class ProofWrong(Exception):
    """A proof does not show what it is said to show, or is of the wrong length for the sizes it is about."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf with this content."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of the node over two others."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root over leaves given by their hashes, in order."""
    if not leaf_hashes:
        return EMPTY_ROOT
    level = list(leaf_hashes)
    # `node_hash` written out: this loop is most of what it costs to check a log.
    sha256 = hashlib.sha256
    while len(level) > 1:
        # A last node without a neighbour moves up as it is, which is what splitting at powers of two comes to.
        paired = [sha256(b"\x01" + level[at] + level[at + 1]).digest() for at in range(0, len(level) - 1, 2)]
        level = paired + level[len(paired) * 2 :]
    return level[0]


def root_at(size: int, read: HashReader) -> bytes:
    """The root over the first `size` leaves."""
    return span_hash((0, size), read) if size else EMPTY_ROOT


def span_hash(span: Span, read: HashReader) -> bytes:
    """The hash of the subtree over the leaves of `span`, which must be one that a proof or a root names."""
    *rest, last = (read(level, index) for level, index in span_nodes(span))
    for left in reversed(rest):
        last = node_hash(left, last)
    return last


def span_nodes(span: Span) -> list[Node]:
    """The full nodes that make up `span`, left to right and so from high to low."""
    start, end = span
    nodes = []
    while start < end:
        level = (end - start).bit_length() - 1
        nodes.append((level, start >> level))
        start += 1 << level
    return nodes


def inclusion_spans(index: int, size: int) -> list[Span]:
    """The subtrees whose hashes prove that leaf `index` is in the tree of `size`. Raise ProofWrong: no such leaf."""
    _require(0 <= index < size <= SIZE_MAX, "there is no such leaf in a tree of this size")
    start, end = 0, size
    spans: list[Span] = []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((start, middle))
            start = middle
    return spans[::-1]


def consistency_spans(old_size: int, new_size: int) -> list[Span]:
    """The subtrees whose hashes prove that the tree of `old_size` is where that of `new_size` begins."""
    _require(0 <= old_size <= new_size <= SIZE_MAX, "the sizes are not in order")
    if old_size in (0, new_size):
        return []
    start, end = 0, new_size
    spans: list[Span] = []
    while old_size < end:
        middle = start + _split(end - start)
        if old_size <= middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((start, middle))
            start = middle
    # Whoever verifies knows the old root; only where it is not a subtree of the new tree is its last part needed.
    return ([(start, end)] if start else []) + spans[::-1]


def prove_inclusion(index: int, size: int, read: HashReader) -> list[bytes]:
    """The proof that leaf `index` is in the tree of `size`, lowest hash first. Raise ProofWrong: no such leaf."""
    return [span_hash(span, read) for span in inclusion_spans(index, size)]


def prove_consistency(old_size: int, new_size: int, read: HashReader) -> list[bytes]:
    """The proof that the first `old_size` leaves were kept. Raise ProofWrong when the sizes are not in order."""
    return [span_hash(span, read) for span in consistency_spans(old_size, new_size)]


def verify_inclusion(proof: Sequence[bytes], *, leaf: bytes, index: int, size: int, root: bytes) -> None:
    """Raise ProofWrong unless `proof` shows that the leaf with hash `leaf` is at `index` of the tree with `root`."""
    _require(0 <= index < size <= SIZE_MAX, "there is no such leaf in a tree of this size")
    _require_hashes([leaf, root, *proof])
    place, last, hashed = index, size - 1, leaf
    for sibling in proof:
        _require(last > 0, "it is too long")
        if place % 2 or place == last:
            hashed = node_hash(sibling, hashed)
            while not place % 2 and place:
                place, last = place >> 1, last >> 1
        else:
            hashed = node_hash(hashed, sibling)
        place, last = place >> 1, last >> 1
    _require(last == 0, "it is too short")
    _require(hashed == root, "it leads to another root")


def verify_consistency(
    proof: Sequence[bytes], *, old_size: int, old_root: bytes, new_size: int, new_root: bytes
) -> None:
    """Raise ProofWrong unless `proof` shows that the tree with `old_root` is where that with `new_root` begins."""
    _require(0 <= old_size <= new_size <= SIZE_MAX, "the sizes are not in order")
    _require_hashes([old_root, new_root, *proof])
    for size, root in ((old_size, old_root), (new_size, new_root)):
        _require(size > 0 or root == EMPTY_ROOT, "a tree of no leaves has another root")
    if old_size in (0, new_size):
        _require(not proof, "it is too long")
        _require(old_size == 0 or old_root == new_root, "two trees of one size have different roots")
        return
    steps = list(proof)
    if old_size & (old_size - 1) == 0:
        steps.insert(0, old_root)
    _require(bool(steps), "it is too short")
    place, last = old_size - 1, new_size - 1
    while place % 2:
        place, last = place >> 1, last >> 1
    old_hash = new_hash = steps[0]
    for sibling in steps[1:]:
        _require(last > 0, "it is too long")
        if place % 2 or place == last:
            old_hash, new_hash = node_hash(sibling, old_hash), node_hash(sibling, new_hash)
            while not place % 2 and place:
                place, last = place >> 1, last >> 1
        else:
            new_hash = node_hash(new_hash, sibling)
        place, last = place >> 1, last >> 1
    _require(last == 0, "it is too short")
    _require(old_hash == old_root, "it leads to another old root")
    _require(new_hash == new_root, "it leads to another new root")


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def _require_hashes(hashes: Sequence[bytes]) -> None:
    _require(all(len(hashed) == HASH_BYTES for hashed in hashes), f"a hash has {HASH_BYTES} bytes")


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise ProofWrong(reason)
