"""A charge as Stripe shows it: what a card was asked for, and what its bank said."""

import hashlib
from collections.abc import Mapping
from typing import Any


def charge_fields(intent: Mapping[str, Any], card: str, *, is_paid: bool) -> dict[str, Any]:
    """The fields of a charge of an intent. One number has one fingerprint, whoever pays with it."""
    fingerprint = hashlib.sha256(card.encode()).hexdigest()[:16]
    return {
        "amount": intent["amount"],
        "amount_refunded": 0,
        "currency": intent["currency"],
        "payment_intent": intent["id"],
        "paid": is_paid,
        "refunded": False,
        "disputed": False,
        "status": "succeeded" if is_paid else "failed",
        "payment_method_details": {"type": "card", "card": {"fingerprint": fingerprint}},
        "metadata": intent["metadata"],
    }
