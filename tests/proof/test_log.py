"""Leaves: written one way, read back or not at all."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.proof.log import Epoch, Statement
from tests.ledger.builders import ADA, NOW

numbers = st.integers(-(10**18), 10**18)


def test_a_statement_is_a_digest_of_what_it_says() -> None:
    """Once more from the description: each field as its length in bytes, a colon, the text, a comma."""
    texts = ["credence.head.v1", ADA, "7", "ab" * 32, "-5", str(NOW)]
    plain = hashlib.sha256("".join(f"{len(text)}:{text}," for text in texts).encode()).hexdigest()

    assert Statement(ADA, 7, "ab" * 32, -5, NOW).leaf == f"credence.head.v1\n{plain}\n".encode()


def test_an_epoch_record_is_lines() -> None:
    leaf = Epoch(3, 10, 700, -700, 4, NOW).leaf

    assert leaf.decode().splitlines() == [
        "credence.epoch.v1",
        "epoch 3",
        "accounts 10",
        "balances 700",
        "unsettled -700",
        "heads 4",
        f"at_ms {NOW}",
    ]


@given(numbers, numbers, numbers, numbers, numbers, numbers)
def test_a_record_is_read_back(a: int, b: int, c: int, d: int, e: int, f: int) -> None:
    record = Epoch(a, b, c, d, e, f)

    assert Epoch.read(record.leaf) == record


@pytest.mark.parametrize(
    "change",
    [("epoch 3", "epoch 03"), ("epoch 3", "epoch  3"), ("700", "+700"), ("v1", "v2"), ("heads", "tails"), ("4\n", "4")],
)
def test_anything_else_is_no_record(change: tuple[str, str]) -> None:
    leaf = Epoch(3, 10, 700, -700, 4, NOW).leaf.decode()

    assert leaf.replace(*change) != leaf
    assert Epoch.read(leaf.replace(*change).encode()) is None
    assert Epoch.read(b"\xff" + leaf.encode()) is None
    assert Epoch.read(leaf.encode() + b"\n") is None
    assert Epoch.read(Statement(ADA, 7, "ab" * 32, -5, NOW).leaf) is None
