"""Our Keccak-256 beside that of eth-hash, over every way a message can end in its block."""

import pytest
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from shared.chain.keccak import RATE_BYTES, keccak_256
from shared.chain.node import AUTHORIZATION_STATE, BALANCE_OF
from shared.chain.rules import AUTHORIZATION_USED, TRANSFER
from shared.chain.signatures import DOMAIN_TYPE, TRANSFER_TYPE


@pytest.mark.parametrize("length", [0, 1, RATE_BYTES - 1, RATE_BYTES, RATE_BYTES + 1, 2 * RATE_BYTES, 1_000])
def test_digests_at_the_ends_of_blocks_are_those_of_the_library(length: int) -> None:
    message = bytes(at % 251 for at in range(length))

    assert keccak_256(message) == keccak(message)


@given(st.binary(max_size=3 * RATE_BYTES))
def test_any_digest_is_that_of_the_library(message: bytes) -> None:
    assert keccak_256(message) == keccak(message)


def test_the_digest_of_nothing_is_the_published_one() -> None:
    assert keccak_256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


def test_hashes_that_are_written_out_are_those_of_their_signatures() -> None:
    """They are constants so that no process computes them at its start."""
    fields = "address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce"
    domain = "string name,string version,uint256 chainId,address verifyingContract"

    assert keccak_256(b"Transfer(address,address,uint256)").hex() == TRANSFER[2:]
    assert keccak_256(b"AuthorizationUsed(address,bytes32)").hex() == AUTHORIZATION_USED[2:]
    assert keccak_256(f"EIP712Domain({domain})".encode()) == DOMAIN_TYPE
    assert keccak_256(f"TransferWithAuthorization({fields})".encode()) == TRANSFER_TYPE
    assert keccak_256(b"balanceOf(address)")[:4] == BALANCE_OF
    assert keccak_256(b"authorizationState(address,bytes32)")[:4] == AUTHORIZATION_STATE
