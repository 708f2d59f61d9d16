"""What PayPal shows, in our words: pure readings of its orders, captures, refunds and disputes."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from shared.payments.models import (
    DisputeSeen,
    Money,
    OrderId,
    PaymentId,
    PaymentStatus,
    RailName,
    RefundSeen,
    ReversalState,
    Seen,
)
from shared.payments.paypal.amounts import AmountOdd, money_of

Object = Mapping[str, Any]
_ORDER_ID = re.compile(r"[a-z2-7]{24}")
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_REFERENCE = re.compile(r"until-([0-9]{1,15})")
_CAPTURE_STATUS = {
    "COMPLETED": PaymentStatus.PAID,
    # The money came, and some of it left again: the refunds say how much.
    "PARTIALLY_REFUNDED": PaymentStatus.PAID,
    "REFUNDED": PaymentStatus.PAID,
    "PENDING": PaymentStatus.PENDING,
    "DECLINED": PaymentStatus.FAILED,
    "FAILED": PaymentStatus.FAILED,
}
_WAITING = frozenset({"CREATED", "SAVED", "APPROVED", "PAYER_ACTION_REQUIRED"})
_ASK_AGAIN = frozenset({"INSTRUMENT_DECLINED", "ORDER_NOT_APPROVED", "PAYER_ACTION_REQUIRED"})
"""Refusals after which the buyer may approve the same order another way."""
_REFUSED = frozenset(
    {
        "COMPLIANCE_VIOLATION",
        "ORDER_EXPIRED",
        "PAYER_ACCOUNT_LOCKED_OR_CLOSED",
        "PAYER_ACCOUNT_RESTRICTED",
        "PAYER_CANNOT_PAY",
        "TRANSACTION_BLOCKED_BY_PAYEE",
        "TRANSACTION_LIMIT_EXCEEDED",
        "TRANSACTION_REFUSED",
    }
)
"""Refusals that end it. Whatever else PayPal says is for a person."""
_REFUND_IS_MADE = {"PENDING": True, "COMPLETED": True, "FAILED": False, "CANCELLED": False}
"""A refund under way has left us; should it fail, the credits come back."""
_DISPUTE_IS_OPEN = frozenset({"OPEN", "WAITING_FOR_BUYER_RESPONSE", "WAITING_FOR_SELLER_RESPONSE", "UNDER_REVIEW"})
_OUTCOME = {
    "RESOLVED_BUYER_FAVOUR": ReversalState.TAKEN,
    "ACCEPTED": ReversalState.TAKEN,
    "RESOLVED_SELLER_FAVOUR": ReversalState.RETURNED,
    "CANCELED_BY_BUYER": ReversalState.RETURNED,
    "DENIED": ReversalState.RETURNED,
}
"""With a payout PayPal may have paid either side, and NONE is no decision: a person looks."""


def is_id(text: str) -> bool:
    """Whether PayPal names objects like that, so that it can stand in a path."""
    return _ID.fullmatch(text) is not None


def reference_of(expires_at_ms: int) -> str:
    """What we have PayPal keep, to know later when the order was over."""
    return f"until-{expires_at_ms}"


def unit_of(order: Object) -> Object:
    """The one thing that an order of ours is about; empty for other orders."""
    units = order.get("purchase_units", [])
    return units[0] if len(units) == 1 else {}


def order_id_of(found: Object) -> OrderId | None:
    """The order of ours that a purchase unit or a capture names."""
    custom_id = found.get("custom_id")
    return OrderId(custom_id) if isinstance(custom_id, str) and _ORDER_ID.fullmatch(custom_id) else None


def payee_of(found: Object) -> str | None:
    """Whose account the money goes to."""
    merchant_id = found.get("payee", {}).get("merchant_id")
    return merchant_id if isinstance(merchant_id, str) else None


def captures_of(order: Object) -> list[Object]:
    """What moved or may move money: one that came to nothing counts only while there is no other."""
    captures: list[Object] = unit_of(order).get("payments", {}).get("captures", [])
    alive = [found for found in captures if _CAPTURE_STATUS.get(found["status"]) is not PaymentStatus.FAILED]
    return alive or captures[-1:]


def refunds_of(order: Object, capture_id: str) -> list[Object]:
    """The refunds and reversals of a capture, oldest first."""
    refunds: list[Object] = unit_of(order).get("payments", {}).get("refunds", [])
    return sorted((found for found in refunds if _is_of(found, capture_id)), key=_age)


def unknown(order_id: OrderId, word: str) -> Seen:
    """Something that a person must look at."""
    return Seen(rail=RailName.PAYPAL, order_id=order_id, status=PaymentStatus.UNKNOWN, status_word=word)


def unpaid(order: Object, order_id: OrderId, refusal: str | None, *, now_ms: int) -> Seen:
    """What an order says of which nothing was captured."""
    word = refusal or str(order["status"])
    if refusal is not None and refusal not in _ASK_AGAIN:
        status = PaymentStatus.FAILED if refusal in _REFUSED else PaymentStatus.UNKNOWN
    elif order["status"] in _WAITING:
        status = PaymentStatus.EXPIRED if _is_over(order, now_ms) else PaymentStatus.OPEN
    else:
        status = PaymentStatus.EXPIRED if order["status"] == "VOIDED" else PaymentStatus.UNKNOWN
    return Seen(rail=RailName.PAYPAL, order_id=order_id, status=status, status_word=word)


def payment_of(capture: Object, order_id: OrderId, money: Money, refunds: Sequence[Object]) -> Seen:
    """What a capture says, apart from its disputes. Raise AmountOdd."""
    word = str(capture["status"])
    if _is_short(word, money, refunds):
        # Else what was given back would be granted, should nobody have looked before.
        return unknown(order_id, f"{word}, and its refunds are not shown")
    return Seen(
        rail=RailName.PAYPAL,
        order_id=order_id,
        status=_CAPTURE_STATUS.get(word, PaymentStatus.UNKNOWN),
        status_word=word,
        payment_id=PaymentId(str(capture["id"])),
        money=money,
    )


def refund_of(found: Object, paid: Money) -> RefundSeen:
    """A refund, or a reversal, which PayPal shows as one. Raise AmountOdd, for one in another currency too."""
    status, money = str(found["status"]), money_of(found.get("amount"))
    if money.currency != paid.currency:
        raise AmountOdd(money.currency)
    is_made = _REFUND_IS_MADE.get(status)
    reason = status if is_made is None else str(found.get("note_to_payer") or "")
    return RefundSeen(str(found["id"]), money.amount_minor, is_made, reason)


def dispute_of(found: Object, paid: Money, refunds: Sequence[Object]) -> DisputeSeen:
    """A dispute of a payment. Raise AmountOdd.

    A dispute that is lost is paid for by a refund or a reversal of the capture, which may be shown sooner or later.
    Over the whole that does not matter, for no more than the whole is ever taken. A part is taken by its refund alone;
    until that is shown, the credits stay set aside and a person is told.
    """
    outcome = found.get("dispute_outcome") or {}
    status, money = str(found["status"]), money_of(found.get("dispute_amount"))
    if status != "RESOLVED":
        state = ReversalState.OPEN if status in _DISPUTE_IS_OPEN else None
    else:
        status = str(outcome.get("outcome_code"))
        state = _OUTCOME.get(status)
    if state is ReversalState.TAKEN:
        lost = money_of(outcome["amount_refunded"]) if outcome.get("amount_refunded") else money
        if lost.currency == paid.currency and lost.amount_minor < paid.amount_minor:
            is_refunded = _refunded_since(refunds, str(found.get("create_time"))) >= lost.amount_minor
            state = ReversalState.RETURNED if is_refunded else None
            status = f"{status} over a part"
    return DisputeSeen(str(found["dispute_id"]), money, state, status, str(found.get("reason") or ""))


def _refunded_since(refunds: Sequence[Object], since: str) -> int:
    made = [found for found in refunds if _REFUND_IS_MADE.get(found["status"]) and _age(found)[0] >= since]
    return sum(money_of(found.get("amount")).amount_minor for found in made)


def _is_short(word: str, money: Money, refunds: Sequence[Object]) -> bool:
    """Whether less was shown to be given back than a capture's status says."""
    refunded = _refunded_since(refunds, "")
    return (word == "REFUNDED" and refunded < money.amount_minor) or (word == "PARTIALLY_REFUNDED" and not refunded)


def _is_of(refund: Object, capture_id: str) -> bool:
    above = [str(link.get("href")) for link in refund.get("links", []) if link.get("rel") == "up"]
    return not above or any(href.endswith(f"/{capture_id}") for href in above)


def _is_over(order: Object, now_ms: int) -> bool:
    until = _REFERENCE.fullmatch(str(unit_of(order).get("reference_id")))
    return until is not None and now_ms >= int(until[1])


def _age(found: Object) -> tuple[str, str]:
    """PayPal's times are of one form, so that they sort as text."""
    return str(found.get("create_time")), str(found["id"])
