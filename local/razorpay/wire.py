"""How Razorpay signs: events over their bytes, and what the browser is handed over two ids."""

import base64
import binascii
import hashlib
import hmac


def sign(raw: bytes, secret: str) -> str:
    """The header `X-Razorpay-Signature` of a delivery."""
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


def sign_payment(order_id: str, payment_id: str, key_secret: str) -> str:
    """`razorpay_signature`, as the checkout's handler is given it."""
    return sign(f"{order_id}|{payment_id}".encode(), key_secret)


def credentials_of(authorization: str) -> tuple[str, str] | None:
    """Key id and secret of a Basic header; None for any other."""
    scheme, _, encoded = authorization.partition(" ")
    try:
        key_id, colon, key_secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (key_id, key_secret) if scheme == "Basic" and colon and key_id and key_secret else None
