"""x402, version 2, as it goes over the wire: the price asked, the payment signed, the settlement told.

https://github.com/coinbase/x402, scheme `exact` on EVM chains by EIP-3009, payment flow `upfront`: the facilitator
settles before anything is given. Only the wire is ours; the package itself costs a third of a second of a cold start.
"""

import base64
import binascii
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from shared.base.body import LAST
from shared.chain.errors import AuthorizationRefused
from shared.chain.models import (
    Address,
    Authorization,
    Digest,
    HexAddress,
    HexDigest,
    HexSignature,
    Offer,
    Token,
)
from shared.chain.rules import order_nonce
from shared.chain.signatures import checksummed

VERSION = 2
REQUIRED_HEADER = "payment-required"
RESPONSE_HEADER = "payment-response"
HEADER_CHARS_MAX = 8_192
"""Several times what a client sends; servers take no more in one header."""
Decimal = Annotated[str, Meta(pattern=rf"^(0|[1-9][0-9]{{0,19}}){LAST}")]
"""JSON carries amounts and times as text."""


class Accepted(Struct, frozen=True, rename="camel"):
    """Which of the prices asked a client has chosen."""

    scheme: Literal["exact"]
    network: str
    asset: HexAddress
    amount: Decimal
    pay_to: HexAddress


class SignedTransfer(Struct, frozen=True, rename="camel"):
    """EIP-3009's fields, as x402 names them."""

    sender: HexAddress = msgspec.field(name="from")
    to: HexAddress
    value: Decimal
    valid_after: Decimal
    valid_before: Decimal
    nonce: HexDigest


class ExactPayload(Struct, frozen=True):
    """A transfer and its signature."""

    signature: HexSignature
    authorization: SignedTransfer


class Payment(Struct, frozen=True, rename="camel"):
    """What PAYMENT-SIGNATURE carries. What else it holds is not read."""

    x402_version: Literal[2]
    payload: ExactPayload
    accepted: Accepted


def requirements(offer: Offer, token: Token) -> dict[str, Any]:
    """The price of an order. `extra.nonce` binds a signature to it, for clients that know to use it."""
    return {
        "scheme": "exact",
        "network": token.network,
        "asset": checksummed(token.asset),
        "amount": str(offer.amount),
        "payTo": checksummed(token.receiver),
        "maxTimeoutSeconds": offer.timeout_s,
        "extra": {
            "name": token.name,
            "version": token.version,
            "assetTransferMethod": "eip3009",
            "paymentFlow": "upfront",
            "nonce": order_nonce(token, offer.order_id),
        },
    }


def required_body(offer: Offer, token: Token, *, error: str = "PAYMENT-SIGNATURE header is required") -> dict[str, Any]:
    """What a 402 says."""
    resource = {"url": offer.url, "description": offer.description, "mimeType": "application/json"}
    return {
        "x402Version": VERSION,
        "error": error,
        "resource": resource,
        "accepts": [requirements(offer, token)],
    }


def required_header(offer: Offer, token: Token, *, error: str = "PAYMENT-SIGNATURE header is required") -> str:
    """The same as the value of PAYMENT-REQUIRED."""
    return _encoded(required_body(offer, token, error=error))


def response_header(token: Token, *, payer: Address, transaction: Digest, amount: int) -> str:
    """The value of PAYMENT-RESPONSE for a payment that came."""
    return _encoded(
        {
            "success": True,
            "payer": payer,
            "transaction": transaction,
            "network": token.network,
            "amount": str(amount),
        }
    )


def read_payment(header: str, offer: Offer, token: Token) -> Authorization:
    """The authorization that PAYMENT-SIGNATURE carries for this offer; its signature is not checked here.

    Raise AuthorizationRefused for what cannot be read, or answers another price.
    """
    if len(header) > HEADER_CHARS_MAX:
        raise AuthorizationRefused("The header is too long.")
    try:
        payment = msgspec.json.decode(base64.b64decode(header, validate=True), type=Payment)
    except (ValueError, binascii.Error, RecursionError):
        raise AuthorizationRefused("The header is not an x402 payment, version 2, by EIP-3009.") from None
    asked = requirements(offer, token)
    told = msgspec.to_builtins(payment.accepted)
    for field in ("scheme", "network", "asset", "amount", "payTo"):
        if str(told[field]).lower() != asked[field].lower():
            raise AuthorizationRefused(
                "The payment answers another price than this order's.", param=f"accepted.{field}"
            )
    signed = payment.payload.authorization
    return Authorization(
        sender=Address(signed.sender.lower()),
        receiver=Address(signed.to.lower()),
        amount=int(signed.value),
        valid_after_s=int(signed.valid_after),
        valid_before_s=int(signed.valid_before),
        nonce=Digest(signed.nonce.lower()),
        signature=payment.payload.signature.lower(),
    )


def facilitator_request(authorization: Authorization, offer: Offer, token: Token) -> dict[str, Any]:
    """What a facilitator is asked, made anew from what was understood: nothing of a client's is passed on unread."""
    asked = requirements(offer, token)
    signed = {
        "from": checksummed(authorization.sender),
        "to": checksummed(authorization.receiver),
        "value": str(authorization.amount),
        "validAfter": str(authorization.valid_after_s),
        "validBefore": str(authorization.valid_before_s),
        "nonce": authorization.nonce,
    }
    payload = {"signature": authorization.signature, "authorization": signed}
    return {
        "x402Version": VERSION,
        "paymentPayload": {"x402Version": VERSION, "payload": payload, "accepted": asked},
        "paymentRequirements": asked,
    }


def _encoded(value: dict[str, Any]) -> str:
    return base64.b64encode(msgspec.json.encode(value)).decode()
