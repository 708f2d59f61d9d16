"""Signers recovered from what eth-account signs, and nothing recovered from anything else."""

from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from shared.chain.models import Address, Authorization, Digest
from shared.chain.signatures import NotASignature, authorization_digest, checksummed, signer_of, text_digest
from tests.chain.tokens import usdc_on_base

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
PERSON: Any = Account.from_key("0x" + "17" * 32)
TOKEN = usdc_on_base(Address("0x" + "c0de" * 10))
UINT256 = st.integers(0, 2**256 - 1)


def signed(text: str) -> str:
    return "0x" + bytes(PERSON.sign_message(encode_defunct(text=text)).signature).hex()


@given(st.text(max_size=200, alphabet=st.characters(exclude_categories=["Cs"])))
def test_whoever_signs_a_text_is_recovered(text: str) -> None:
    assert signer_of(text_digest(text), signed(text)) == PERSON.address.lower()


@given(amount=UINT256, after_s=UINT256, before_s=UINT256, nonce=st.binary(min_size=32, max_size=32))
def test_whoever_signs_a_transfer_is_recovered(amount: int, after_s: int, before_s: int, nonce: bytes) -> None:
    names = ("from", "to", "value", "validAfter", "validBefore", "nonce")
    types = ("address", "address", "uint256", "uint256", "uint256", "bytes32")
    values = (PERSON.address, to_checksum_address(TOKEN.receiver), amount, after_s, before_s, nonce)
    signature = PERSON.sign_typed_data(
        {"name": "USD Coin", "version": "2", "chainId": 8_453, "verifyingContract": to_checksum_address(TOKEN.asset)},
        {"TransferWithAuthorization": [{"name": n, "type": t} for n, t in zip(names, types, strict=True)]},
        dict(zip(names, values, strict=True)),
    ).signature
    authorization = Authorization(
        sender=Address(PERSON.address.lower()),
        receiver=TOKEN.receiver,
        amount=amount,
        valid_after_s=after_s,
        valid_before_s=before_s,
        nonce=Digest("0x" + nonce.hex()),
        signature="0x" + bytes(signature).hex(),
    )

    assert signer_of(authorization_digest(TOKEN, authorization), authorization.signature) == authorization.sender


def test_a_signature_over_another_text_is_somebody_elses() -> None:
    assert signer_of(text_digest("another"), signed("one")) != PERSON.address.lower()


def test_the_twin_of_a_signature_is_none() -> None:
    raw = bytes.fromhex(signed("one")[2:])
    twin = raw[:32] + (ORDER - int.from_bytes(raw[32:64], "big")).to_bytes(32, "big") + bytes([55 - raw[64]])
    assert Account.recover_message(encode_defunct(text="one"), signature=twin) == PERSON.address

    with pytest.raises(NotASignature):
        signer_of(text_digest("one"), "0x" + twin.hex())


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "0x",
        "0xzz",
        "0x" + "00" * 65,
        "0x" + "00" * 64 + "1b",
        "0x" + "ff" * 64 + "1b",
        "0x" + "11" * 64,
        "0x" + "11" * 66,
        signed("one")[:-2] + "00",
        signed("one")[:-2] + "1d",
        signed("one") + "00",
    ],
)
def test_what_no_key_can_have_made_is_no_signature(signature: str) -> None:
    with pytest.raises(NotASignature):
        signer_of(text_digest("one"), signature)


@given(st.binary(min_size=20, max_size=20))
def test_capitals_of_an_address_are_those_that_prove_it(raw: bytes) -> None:
    assert checksummed(Address("0x" + raw.hex())) == to_checksum_address(raw)
