"""Stripe as a rail: Checkout takes the money, and a payment intent with all that hangs on it says what became of it."""

from collections.abc import Mapping
from typing import Any

from shared.base.payment_mode import PaymentMode
from shared.base.together import all_of
from shared.payments.errors import RailRefused
from shared.payments.models import (
    Checkout,
    DeclineSeen,
    DisputeSeen,
    Money,
    Order,
    OrderId,
    PaymentId,
    PaymentStatus,
    RailName,
    RefundSeen,
    ReversalState,
    Seen,
    Subject,
)
from shared.payments.rules import pack_of
from shared.payments.stripe.gateway import StripeApi

ORDER_KEY = "credence_order"
"""Metadata of the session *and* of its payment intent: refunds and disputes lead to the latter only."""
REFUND_KEY = "credence_refund"
LISTED_MAX = 100
"""Refunds or disputes of one payment. More are for a person."""
_PATHS = {
    "charge": "/v1/charges",
    "refund": "/v1/refunds",
    "dispute": "/v1/disputes",
    "radar.early_fraud_warning": "/v1/radar/early_fraud_warnings",
}
_INTENT_STATUS = {
    "succeeded": PaymentStatus.PAID,
    "processing": PaymentStatus.PENDING,
    "requires_payment_method": PaymentStatus.OPEN,
    "requires_confirmation": PaymentStatus.OPEN,
    "requires_action": PaymentStatus.OPEN,
    "canceled": PaymentStatus.FAILED,
}
_REFUND_IS_MADE = {"pending": True, "requires_action": True, "succeeded": True, "failed": False, "canceled": False}
"""A refund under way has left us; should it fail, the credits come back."""
_DISPUTE_STATE = {
    "needs_response": ReversalState.OPEN,
    "under_review": ReversalState.OPEN,
    "warning_needs_response": ReversalState.OPEN,
    "warning_under_review": ReversalState.OPEN,
    "warning_closed": ReversalState.RETURNED,
    "won": ReversalState.RETURNED,
    "lost": ReversalState.TAKEN,
}


class StripeRail:
    """Payments by Stripe."""

    name = RailName.STRIPE

    def __init__(self, api: StripeApi, return_url: str, mode: PaymentMode) -> None:
        """`return_url` is where buyers come back to, with `order` and `result` in its query.

        What Stripe shows of the other mode than `mode` is neither sold nor granted.
        """
        self._mode = mode
        self._api = api
        self._return_url = return_url

    async def begin(self, order: Order) -> Checkout:
        pack = pack_of(order.pack_id)
        metadata = {ORDER_KEY: order.order_id}
        back = f"{self._return_url}{'&' if '?' in self._return_url else '?'}order={order.order_id}&result="
        params = {
            "mode": "payment",
            "client_reference_id": order.order_id,
            "metadata": metadata,
            "payment_intent_data": {"metadata": metadata},
            "expires_at": order.expires_at_ms // 1000,
            "success_url": back + "paid",
            "cancel_url": back + "cancelled",
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": order.money.currency.lower(),
                        "unit_amount": order.money.amount_minor,
                        "product_data": {"name": f"{pack.title}: credits"},
                    },
                }
            ],
        }
        session = await self._api.post("/v1/checkout/sessions", params, key=f"checkout-{order.order_id}")
        if self._is_of_other_mode(session):
            raise RailRefused("Stripe", "wrong_mode")
        return Checkout(str(session["id"]), str(session["url"]))

    def subject_of(self, order: Order) -> Subject | None:
        if order.payment_id is not None:
            return Subject("payment_intent", order.payment_id)
        return Subject("checkout.session", order.checkout.reference) if order.checkout else None

    async def look(self, subject: Subject) -> Seen | None:
        session: dict[str, Any] | None = None
        intent_id: object = subject.object_id
        if subject.kind == "checkout.session":
            session = await self._api.get(f"/v1/checkout/sessions/{subject.object_id}", {})
            intent_id = session.get("payment_intent")
        elif subject.kind != "payment_intent":
            found = await self._api.get(f"{_PATHS[subject.kind]}/{subject.object_id}", {})
            intent_id = found.get("payment_intent")
        if not isinstance(intent_id, str):
            return self._unpaid(session) if session is not None else None
        return await self._intent(intent_id, session)

    async def refund(self, payment_id: PaymentId, money: Money, *, key: str) -> None:
        # Stripe forgets keys after a day; what was made under this one says so itself.
        made = await self._api.get("/v1/refunds", {"payment_intent": payment_id, "limit": LISTED_MAX})
        if any(found.get("metadata", {}).get(REFUND_KEY) == key for found in made["data"]):
            return
        params = {"payment_intent": payment_id, "amount": money.amount_minor, "metadata": {REFUND_KEY: key}}
        try:
            await self._api.post("/v1/refunds", params, key=key)
        except RailRefused as refusal:
            # Made by somebody else, or by a try whose key Stripe has forgotten: what is wanted is done.
            if refusal.provider_code != "charge_already_refunded":
                raise

    async def close(self, order: Order) -> None:
        if order.checkout is None:
            return
        try:
            path = f"/v1/checkout/sessions/{order.checkout.reference}/expire"
            await self._api.post(path, {}, key=f"close-{order.order_id}")
        except RailRefused:
            # It is paid or over already; the next look sees which.
            return

    async def _intent(self, intent_id: str, session: Mapping[str, Any] | None) -> Seen | None:
        of_intent = {"payment_intent": intent_id, "limit": LISTED_MAX}
        lists = ("/v1/charges", "/v1/refunds", "/v1/disputes", "/v1/radar/early_fraud_warnings")
        intent, charges, refunds, disputes, warnings = await all_of(
            [
                self._api.get(f"/v1/payment_intents/{intent_id}", {}),
                *(self._api.get(path, of_intent) for path in lists),
            ]
        )
        order_id = intent.get("metadata", {}).get(ORDER_KEY)
        if order_id is None:
            # Sold by somebody else who uses the same account.
            return None
        status, word = _status(intent, session)
        if any(found.get("has_more") for found in (refunds, disputes, warnings)):
            status, word = PaymentStatus.UNKNOWN, f"more than {LISTED_MAX} refunds or disputes"
        if self._is_of_other_mode(intent):
            status, word = PaymentStatus.OTHER_MODE, str(intent.get("livemode"))
        return Seen(
            rail=self.name,
            order_id=OrderId(order_id),
            status=status,
            status_word=word,
            payment_id=PaymentId(intent_id),
            money=Money(intent["amount_received"], str(intent["currency"]).upper()),
            refunds=tuple(_refund(found) for found in _by_age(refunds)),
            disputes=tuple(_dispute(found) for found in _by_age(disputes)),
            warnings=tuple(str(found["id"]) for found in _by_age(warnings)),
            card=next((_card(found) for found in charges["data"] if found["status"] == "succeeded"), None),
            declines=tuple(
                DeclineSeen(str(found["id"]), _card(found)) for found in _by_age(charges) if found["status"] == "failed"
            ),
        )

    def _unpaid(self, session: Mapping[str, Any]) -> Seen | None:
        """What a session says that nobody has begun to pay."""
        order_id = session.get("metadata", {}).get(ORDER_KEY)
        if order_id is None:
            return None
        statuses = {"open": PaymentStatus.OPEN, "expired": PaymentStatus.EXPIRED}
        word = str(session["status"])
        status = statuses.get(word, PaymentStatus.UNKNOWN)
        if self._is_of_other_mode(session):
            status, word = PaymentStatus.OTHER_MODE, str(session.get("livemode"))
        return Seen(rail=self.name, order_id=OrderId(order_id), status=status, status_word=word)

    def _is_of_other_mode(self, found: Mapping[str, Any]) -> bool:
        return found.get("livemode") is not self._mode.is_live


def _status(intent: Mapping[str, Any], session: Mapping[str, Any] | None) -> tuple[PaymentStatus, str]:
    word = str(intent["status"])
    status = _INTENT_STATUS.get(word, PaymentStatus.UNKNOWN)
    if status is PaymentStatus.OPEN and session is not None:
        if session["status"] == "expired":
            return PaymentStatus.EXPIRED, "expired"
        # The buyer is done and the bank said no later on.
        if session["status"] == "complete":
            return PaymentStatus.FAILED, word
    return status, word


def _by_age(listed: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return sorted(listed["data"], key=lambda found: (found["created"], found["id"]))


def _card(charge: Mapping[str, Any]) -> str | None:
    """What Stripe calls the number of the card; None for other ways to pay."""
    details = charge.get("payment_method_details") or {}
    fingerprint = (details.get("card") or {}).get("fingerprint")
    return fingerprint if isinstance(fingerprint, str) else None


def _refund(found: Mapping[str, Any]) -> RefundSeen:
    status = str(found["status"])
    is_made = _REFUND_IS_MADE.get(status)
    reason = status if is_made is None else str(found.get("reason") or "")
    return RefundSeen(str(found["id"]), found["amount"], is_made, reason)


def _dispute(found: Mapping[str, Any]) -> DisputeSeen:
    status = str(found["status"])
    money = Money(found["amount"], str(found["currency"]).upper())
    return DisputeSeen(str(found["id"]), money, _DISPUTE_STATE.get(status), status, str(found.get("reason") or ""))
