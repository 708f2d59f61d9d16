"""Merkle trees: the published hashes, every proof verifies, no altered one does, and another library agrees."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pymerkle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.base.merkle import (
    EMPTY_ROOT,
    SIZE_MAX,
    HashReader,
    ProofWrong,
    leaf_hash,
    node_hash,
    prove_consistency,
    prove_inclusion,
    root_at,
    root_of,
    verify_consistency,
    verify_inclusion,
)

GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "merkle.json").read_text())
LEAVES_MAX = 70
LEAVES = [leaf_hash(b"leaf %d" % index) for index in range(LEAVES_MAX)]

in_time = settings(max_examples=150, deadline=None)
sizes = st.integers(1, LEAVES_MAX)


def reader_of(leaf_hashes: list[bytes]) -> HashReader:
    """Full nodes straight from the leaves."""

    def read(level: int, index: int) -> bytes:
        under = leaf_hashes[index << level : (index + 1) << level]
        assert len(under) == 1 << level, "asked for a node that is not full"
        return root_of(under)

    return read


def inclusion(index: int, size: int, leaves: list[bytes] = LEAVES) -> list[bytes]:
    return prove_inclusion(index, size, reader_of(leaves[:size]))


def consistency(old: int, new: int, leaves: list[bytes] = LEAVES) -> list[bytes]:
    return prove_consistency(old, new, reader_of(leaves[:new]))


def check_inclusion(proof: list[bytes], index: int, size: int) -> None:
    verify_inclusion(proof, leaf=LEAVES[index], index=index, size=size, root=root_of(LEAVES[:size]))


def check_consistency(proof: list[bytes], old: int, new: int) -> None:
    verify_consistency(
        proof, old_size=old, old_root=root_of(LEAVES[:old]), new_size=new, new_root=root_of(LEAVES[:new])
    )


def flipped(hashed: bytes, at: int) -> bytes:
    return hashed[:at] + bytes([hashed[at] ^ 1]) + hashed[at + 1 :]


def refuses(check: Callable[[], None]) -> bool:
    with pytest.raises(ProofWrong):
        check()
    return True


def test_hashes_are_the_published_ones() -> None:
    """The eight leaves that implementations of Certificate Transparency are tried on."""
    leaves = [leaf_hash(bytes.fromhex(data)) for data in GOLDEN["leaves"]]

    assert [root_of(leaves[:size]).hex() for size in range(9)] == GOLDEN["roots"]
    for vector in GOLDEN["inclusion"]:
        proof = inclusion(vector["index"], vector["size"], leaves)
        assert [hashed.hex() for hashed in proof] == vector["proof"]
    for vector in GOLDEN["consistency"]:
        proof = consistency(vector["old"], vector["new"], leaves)
        assert [hashed.hex() for hashed in proof] == vector["proof"]


def test_every_proof_of_every_small_tree_verifies() -> None:
    """All indexes and all pairs of sizes, so that no shape of tree is left to chance."""
    for size in range(1, 34):
        assert root_at(size, reader_of(LEAVES[:size])) == root_of(LEAVES[:size])
        for index in range(size):
            check_inclusion(inclusion(index, size), index, size)
        for old in range(size + 1):
            check_consistency(consistency(old, size), old, size)


@in_time
@given(st.data(), sizes)
def test_a_proof_of_inclusion_stands_for_one_leaf_in_one_place(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof, root = inclusion(index, size), root_of(LEAVES[:size])
    moved = data.draw(st.integers(-1, size + 1).filter(lambda place: place != index))
    assert refuses(lambda: verify_inclusion(proof, leaf=LEAVES[index], index=moved, size=size, root=root))
    at = data.draw(st.integers(0, 31))
    for leaf, wrong_root in ((flipped(LEAVES[index], at), root), (LEAVES[index], flipped(root, at))):
        assert refuses(
            lambda leaf=leaf, wrong=wrong_root: verify_inclusion(  # type: ignore[misc]
                proof, leaf=leaf, index=index, size=size, root=wrong
            )
        )
    if proof:
        place = data.draw(st.integers(0, len(proof) - 1))
        forged = [*proof[:place], flipped(proof[place], at), *proof[place + 1 :]]
        for wrong in (forged, proof[:-1], proof[1:], [*proof[:-1], proof[-1][:-1]]):
            assert refuses(lambda wrong=wrong: check_inclusion(wrong, index, size))  # type: ignore[misc]
    assert refuses(lambda: check_inclusion([*proof, EMPTY_ROOT], index, size))


@in_time
@given(st.data(), sizes)
def test_a_proof_of_consistency_stands_for_two_trees(data: st.DataObject, new: int) -> None:
    old = data.draw(st.integers(1, new))
    proof, at = consistency(old, new), data.draw(st.integers(0, 31))
    check_consistency(proof, old, new)
    old_root, new_root = root_of(LEAVES[:old]), root_of(LEAVES[:new])

    def forged(proof: list[bytes], old_root: bytes = old_root, new_root: bytes = new_root) -> Callable[[], None]:
        return lambda: verify_consistency(proof, old_size=old, old_root=old_root, new_size=new, new_root=new_root)

    assert refuses(forged(proof, old_root=flipped(old_root, at)))
    assert refuses(forged(proof, new_root=flipped(new_root, at)))
    assert refuses(forged([*proof, EMPTY_ROOT]))
    if proof:
        place = data.draw(st.integers(0, len(proof) - 1))
        assert refuses(forged([*proof[:place], flipped(proof[place], at), *proof[place + 1 :]]))
        assert refuses(forged(proof[:-1]))
        assert refuses(forged(proof[1:]))
        assert refuses(forged([*proof[:-1], proof[-1][:-1]]))


@in_time
@given(st.data(), sizes)
def test_a_rewritten_leaf_has_no_proof_of_consistency(data: st.DataObject, old: int) -> None:
    """Whatever a liar computes over the rewritten tree, the old root refutes it."""
    new = data.draw(st.integers(old, LEAVES_MAX))
    place = data.draw(st.integers(0, old - 1))
    rewritten = [*LEAVES[:place], leaf_hash(b"another"), *LEAVES[place + 1 :]]
    proof, new_root = consistency(old, new, rewritten), root_of(rewritten[:new])

    assert refuses(
        lambda: verify_consistency(proof, old_size=old, old_root=root_of(LEAVES[:old]), new_size=new, new_root=new_root)
    )


def test_an_empty_tree_is_where_every_tree_begins() -> None:
    """It has one root, that of nothing, and its proof is empty."""
    check_consistency([], 0, 5)
    check_consistency([], 0, 0)
    assert refuses(lambda: check_consistency([LEAVES[0]], 0, 5))
    assert refuses(
        lambda: verify_consistency([], old_size=0, old_root=LEAVES[0], new_size=5, new_root=root_of(LEAVES[:5]))
    )
    assert refuses(lambda: verify_inclusion([], leaf=EMPTY_ROOT, index=0, size=0, root=EMPTY_ROOT))


def test_trees_of_one_size_are_the_same_or_not() -> None:
    check_consistency([], 5, 5)
    assert refuses(lambda: check_consistency([LEAVES[0]], 5, 5))
    assert refuses(lambda: verify_consistency([], old_size=1, old_root=LEAVES[0], new_size=1, new_root=LEAVES[1]))


def test_sizes_out_of_order_or_bounds_are_refused() -> None:
    assert refuses(lambda: check_consistency([], 5, 4))
    assert refuses(lambda: check_consistency([], -1, 4))
    for index, size in ((0, 0), (5, 5), (-1, 5), (0, SIZE_MAX + 1)):
        assert refuses(lambda index=index, size=size: inclusion(index, size))  # type: ignore[misc]
    assert refuses(lambda: prove_consistency(2, 1, reader_of(LEAVES)))


def test_a_node_never_passes_for_a_leaf() -> None:
    """Their hashes begin with different bytes."""
    assert leaf_hash(LEAVES[0] + LEAVES[1]) != node_hash(LEAVES[0], LEAVES[1])
    assert leaf_hash(b"") == hashlib.sha256(b"\x00").digest()


@in_time
@given(st.lists(st.binary(max_size=8), min_size=1, max_size=LEAVES_MAX), st.data())
def test_another_library_agrees(contents: list[bytes], data: st.DataObject) -> None:
    """pymerkle, which was written from the same RFC by others: roots, and what they prove."""
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for content in contents:
        tree.append_entry(content)
    leaves = [leaf_hash(content) for content in contents]
    size = data.draw(st.integers(1, len(contents)))
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))

    old_root, root = tree.get_root(old), tree.get_root(size)
    assert (old_root, root) == (root_of(leaves[:old]), root_of(leaves[:size]))
    assert tree.prove_inclusion(index + 1, size).path == [leaves[index], *inclusion(index, size, leaves)]
    # Its proofs of consistency are laid out in another way; each side's are verified against the other side's roots.
    pymerkle.verify_consistency(root_of(leaves[:old]), root_of(leaves[:size]), tree.prove_consistency(old, size))
    proof = consistency(old, size, leaves)
    verify_consistency(proof, old_size=old, old_root=old_root, new_size=size, new_root=root)
