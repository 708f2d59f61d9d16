"""Who signed: addresses recovered from signatures over texts (EIP-191) and over transfers (EIP-3009 by EIP-712)."""

from shared.chain.keccak import keccak_256
from shared.chain.models import Address, Authorization, Token

SIGNATURE_BYTES = 65
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Of the group of secp256k1."""
DOMAIN_TYPE = bytes.fromhex("8b73c3c69bb8fe3d512ecc4cf759cc79239f7b179b0ffacaa9a75d522b39400f")
TRANSFER_TYPE = bytes.fromhex("7c7c6cdb67a18743f49ec6fa9b35f50d52ed05cbed4cc592e13b44501c1a2267")
"""Hashes of the two types' signatures, written out, for each takes a millisecond of a cold start."""


class NotASignature(Exception):
    """Nobody can have made these bytes by signing in the one form that is taken."""


def text_digest(text: str) -> bytes:
    """What a wallet signs when it is asked to sign a text (EIP-191, version 0x45: `personal_sign`)."""
    message = text.encode()
    return keccak_256(b"\x19Ethereum Signed Message:\n%d" % len(message) + message)


def authorization_digest(token: Token, authorization: Authorization) -> bytes:
    """What the sender of an EIP-3009 transfer signs, under the token's own EIP-712 domain."""
    domain = keccak_256(
        DOMAIN_TYPE
        + keccak_256(token.name.encode())
        + keccak_256(token.version.encode())
        + word(token.chain_id)
        + word(int(token.asset, 16))
    )
    message = keccak_256(
        TRANSFER_TYPE
        + word(int(authorization.sender, 16))
        + word(int(authorization.receiver, 16))
        + word(authorization.amount)
        + word(authorization.valid_after_s)
        + word(authorization.valid_before_s)
        + bytes.fromhex(authorization.nonce[2:])
    )
    return keccak_256(b"\x19\x01" + domain + message)


def signer_of(digest: bytes, signature: str) -> Address:
    """The address whose key signed. Raise NotASignature.

    Of the two signatures that each signing allows, only the one with the smaller s is taken (EIP-2), as the token does.
    """
    # Loaded here: 45 ms, and only where somebody pays with a key of their own.
    from coincurve import PublicKey

    try:
        raw = bytes.fromhex(signature.removeprefix("0x"))
    except ValueError:
        raise NotASignature from None
    if len(raw) != SIGNATURE_BYTES or raw[64] not in (27, 28) or int.from_bytes(raw[32:64], "big") > _ORDER // 2:
        raise NotASignature
    try:
        key = PublicKey.from_signature_and_message(raw[:64] + bytes([raw[64] - 27]), digest, hasher=None)
    except Exception:  # noqa: BLE001 - the library raises its C code's failures as bare exceptions
        raise NotASignature from None
    return Address("0x" + keccak_256(key.format(compressed=False)[1:])[-20:].hex())


def checksummed(address: Address) -> str:
    """The address with the capitals that prove its digits (EIP-55), without which some facilitators read none."""
    digits = address[2:]
    proof = keccak_256(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if int(nibble, 16) >= 8 else digit for digit, nibble in zip(digits, proof, strict=False)
    )


def word(value: int) -> bytes:
    """An integer as the EVM has it: 32 bytes, the largest first."""
    return value.to_bytes(32, "big")
