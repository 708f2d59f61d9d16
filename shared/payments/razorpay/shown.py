"""What Razorpay's objects say, in our words. Pure: shapes of https://razorpay.com/docs/api in, values of ours out."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.payments.models import DisputeSeen, Money, PaymentStatus, RefundSeen, ReversalState

Shown = Mapping[str, Any]

ORDER_KEY = "credence_order"
UNTIL_KEY = "credence_until_ms"
"""Notes of the order: which of ours it is, and until when it can be paid. Razorpay's orders never end by themselves."""
REFUND_KEY = "credence_refund"
_UNTIL_DIGITS_MAX = 15
_PAYMENT_STATUS = {
    "created": PaymentStatus.OPEN,
    "authorized": PaymentStatus.PENDING,
    "captured": PaymentStatus.PAID,
    "refunded": PaymentStatus.PAID,
    # An attempt that failed; the order can be paid by the next one.
    "failed": PaymentStatus.OPEN,
}
"""`refunded` was paid before: its refunds take the credits back."""
_MOST_TELLING = ("captured", "refunded", "authorized")
_REFUND_IS_MADE = {"pending": True, "processed": True, "failed": False}
"""A refund under way has left us; should it fail, the credits come back."""
_DISPUTE_STATE = {
    "open": ReversalState.OPEN,
    "under_review": ReversalState.OPEN,
    "won": ReversalState.RETURNED,
    # A doubt of a bank's that came to nothing.
    "closed": ReversalState.RETURNED,
    "lost": ReversalState.TAKEN,
}


def notes_of(found: Shown) -> Mapping[str, Any]:
    """Its notes; Razorpay writes none as an empty list."""
    notes = found.get("notes")
    return notes if isinstance(notes, Mapping) else {}


def our_order(theirs: Shown) -> str | None:
    """Which of our orders theirs was made for; None when it was made for none."""
    found = notes_of(theirs).get(ORDER_KEY)
    return found if isinstance(found, str) else None


def telling(payments: Sequence[Shown]) -> Shown | None:
    """Of all attempts to pay an order the one that says how it stands: the oldest whose money came, or may come."""
    for status in _MOST_TELLING:
        if found := [payment for payment in by_age(payments) if payment["status"] == status]:
            return found[0]
    unknown = [payment for payment in payments if payment["status"] not in _PAYMENT_STATUS]
    return unknown[0] if unknown else None


def status_of(theirs: Shown, payment: Shown | None, *, now_ms: int) -> tuple[PaymentStatus, str]:
    """How the order stands by this payment, and the word that says so. Without one nobody has paid."""
    word = str(payment["status"]) if payment is not None else str(theirs["status"])
    status = _PAYMENT_STATUS.get(word, PaymentStatus.UNKNOWN) if payment is not None else PaymentStatus.OPEN
    if status is PaymentStatus.OPEN and _is_over(theirs, now_ms):
        return PaymentStatus.EXPIRED, word
    return status, word


def are_all_refunds_listed(payment: Shown, refunds: Iterable[Shown]) -> bool:
    """Whether the refunds explain what the payment says of itself. If not, credits would stay that were given back."""
    listed = sum(int(found["amount"]) for found in refunds if found["status"] != "failed")
    return payment["status"] != "refunded" or listed >= int(payment["amount"])


def money_of(found: Shown) -> Money:
    """What it is about, in the currency's smallest unit."""
    return Money(found["amount"], str(found["currency"]).upper())


def by_age(listed: Iterable[Shown]) -> list[Shown]:
    """Oldest first."""
    return sorted(listed, key=lambda found: (found["created_at"], found["id"]))


def refund_of(found: Shown) -> RefundSeen:
    """A refund as we see it."""
    status = str(found["status"])
    is_made = _REFUND_IS_MADE.get(status)
    return RefundSeen(str(found["id"]), found["amount"], is_made, status if is_made is None else "")


def dispute_of(found: Shown) -> DisputeSeen:
    """A dispute as we see it. Its phase tells a bank's question from a chargeback; both set credits aside."""
    status = str(found["status"])
    reason = f"{found.get('phase') or ''} {found.get('reason_code') or ''}".strip()
    return DisputeSeen(str(found["id"]), money_of(found), _DISPUTE_STATE.get(status), status, reason)


def _is_over(theirs: Shown, now_ms: int) -> bool:
    until = str(notes_of(theirs).get(UNTIL_KEY, ""))
    return until.isdecimal() and len(until) <= _UNTIL_DIGITS_MAX and int(until) <= now_ms
