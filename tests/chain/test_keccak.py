"""Our Keccak-256 beside that of eth-hash, over every way a message can end in its block."""

import pytest
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from shared.chain.keccak import RATE_BYTES, keccak_256


@pytest.mark.parametrize("length", [0, 1, RATE_BYTES - 1, RATE_BYTES, RATE_BYTES + 1, 2 * RATE_BYTES, 1_000])
def test_digests_at_the_ends_of_blocks_are_those_of_the_library(length: int) -> None:
    message = bytes(at % 251 for at in range(length))

    assert keccak_256(message) == keccak(message)


@given(st.binary(max_size=3 * RATE_BYTES))
def test_any_digest_is_that_of_the_library(message: bytes) -> None:
    assert keccak_256(message) == keccak(message)


def test_the_digest_of_nothing_is_the_published_one() -> None:
    assert keccak_256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
