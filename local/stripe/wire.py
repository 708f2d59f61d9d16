"""How Stripe's requests and signatures look: forms with brackets in them, and an HMAC in a header."""

import hashlib
import hmac
import re
from typing import Any
from urllib.parse import parse_qsl

_PART = re.compile(r"[^\[\]]+")


def parse_form(text: str) -> dict[str, Any]:
    """`a[b]=1&c[0][d]=2` as `{"a": {"b": "1"}, "c": {"0": {"d": "2"}}}`."""
    parsed: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        *folders, last = _PART.findall(name)
        place = parsed
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = value
    return parsed


def sign(raw: bytes, secret: str, at_s: int) -> str:
    """The header `Stripe-Signature` of a delivery."""
    signature = hmac.new(secret.encode(), f"{at_s}.".encode() + raw, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={signature}"
