"""Razorpay as a rail: an order of theirs for each of ours, a payment of it, and all that hangs on that payment."""

from collections.abc import Mapping
from typing import Any

from shared.base.clock import Clock
from shared.base.together import both
from shared.payments.errors import RailRefused
from shared.payments.models import (
    Checkout,
    Money,
    Order,
    OrderId,
    PaymentId,
    PaymentStatus,
    RailName,
    Seen,
    Subject,
)
from shared.payments.razorpay import shown
from shared.payments.razorpay.gateway import RazorpayApi
from shared.payments.razorpay.shown import Shown

AUTOMATIC_EXPIRY_MIN = 30
"""A payment that a bank reports late is still captured so long after it was begun; later ones go back by themselves."""
MANUAL_EXPIRY_MIN = 7_200
"""The most there is, and it must be more than the other. Nobody captures by hand."""
LISTED_MAX = 100
"""The most that Razorpay lists at once."""
DISPUTE_PAGES_MAX = 10
"""Disputes are listed for the whole account since a payment was made; more than this is for a person."""


class RazorpayRail:
    """Payments by Razorpay."""

    name = RailName.RAZORPAY

    def __init__(self, api: RazorpayApi, key_id: str, clock: Clock) -> None:
        """`key_id` is the public half of the API key, which the checkout in the buyer's browser needs."""
        self._api = api
        self._key_id = key_id
        self._clock = clock

    async def begin(self, order: Order) -> Checkout:
        body = {
            "amount": order.money.amount_minor,
            "currency": order.money.currency,
            "receipt": order.order_id,
            # A repeat finds the order that an earlier try made.
            "unique_receipt": True,
            "partial_payment": False,
            "notes": {shown.ORDER_KEY: order.order_id, shown.UNTIL_KEY: str(order.expires_at_ms)},
            "payment": {
                "capture": "automatic",
                "capture_options": {
                    "automatic_expiry_period": AUTOMATIC_EXPIRY_MIN,
                    "manual_expiry_period": MANUAL_EXPIRY_MIN,
                    "refund_speed": "normal",
                },
            },
        }
        made = await self._api.post("/v1/orders", body)
        reference = str(made["id"])
        parameters: dict[str, str | int] = {
            "key": self._key_id,
            "order_id": reference,
            "amount": order.money.amount_minor,
            "currency": order.money.currency,
        }
        return Checkout(reference, None, parameters=parameters)

    def subject_of(self, order: Order) -> Subject | None:
        if order.payment_id is not None:
            return Subject("payment", order.payment_id)
        return Subject("order", order.checkout.reference) if order.checkout else None

    async def look(self, subject: Subject) -> Seen | None:
        match subject.kind:
            case "order":
                return await self._look_at_order(subject.object_id)
            case "payment":
                return await self._look_at_payment(subject.object_id)
            case "refund" | "dispute":
                found = await self._api.get(f"/v1/{subject.kind}s/{subject.object_id}", {})
                return await self._look_at_payment(str(found["payment_id"]))
            case _:
                return None

    async def refund(self, payment_id: PaymentId, money: Money, *, key: str) -> None:
        # What was made under this key says so itself, however long ago Razorpay has forgotten the key.
        made = await self._refunds(payment_id)
        if any(shown.notes_of(found).get(shown.REFUND_KEY) == key for found in made):
            return
        body = {"amount": money.amount_minor, "speed": "normal", "notes": {shown.REFUND_KEY: key}}
        try:
            await self._api.post(f"/v1/payments/{payment_id}/refund", body, key=key)
        except RailRefused:
            # Made by somebody else meanwhile: what is wanted is done. Razorpay has one code for all refusals.
            payment = await self._api.get(f"/v1/payments/{payment_id}", {})
            if payment["status"] != "refunded":
                raise

    async def _look_at_order(self, reference: str) -> Seen | None:
        theirs = await self._api.get(f"/v1/orders/{reference}", {})
        if shown.our_order(theirs) is None:
            # Sold by somebody else who uses the same account.
            return None
        payments = await self._api.get(f"/v1/orders/{reference}/payments", {})
        payment = shown.telling(payments["items"])
        return await self._seen(theirs, payment)

    async def _look_at_payment(self, payment_id: str) -> Seen | None:
        payment = await self._api.get(f"/v1/payments/{payment_id}", {})
        reference = payment.get("order_id")
        if not isinstance(reference, str):
            return None
        # Whose payment it is says the order, which only we can make: a payment's own notes come from the browser.
        theirs = await self._api.get(f"/v1/orders/{reference}", {})
        return None if shown.our_order(theirs) is None else await self._seen(theirs, payment)

    async def _seen(self, theirs: Shown, payment: Shown | None) -> Seen:
        order_id = OrderId(str(shown.our_order(theirs)))
        status, word = shown.status_of(theirs, payment, now_ms=self._clock())
        if payment is None or status is not PaymentStatus.PAID:
            return Seen(rail=self.name, order_id=order_id, status=status, status_word=word)
        payment_id = str(payment["id"])
        # Read after the payment, so that what its state counts is among them.
        refunds, disputes = await both(self._refunds(payment_id), self._disputes(payment))
        if len(refunds) >= LISTED_MAX or disputes is None:
            status, word = PaymentStatus.UNKNOWN, "more refunds or disputes than are read"
        elif not shown.are_all_refunds_listed(payment, refunds):
            status, word = PaymentStatus.UNKNOWN, "refunded, and no refund says how much"
        return Seen(
            rail=self.name,
            order_id=order_id,
            status=status,
            status_word=word,
            payment_id=PaymentId(payment_id),
            money=shown.money_of(payment),
            refunds=tuple(shown.refund_of(found) for found in shown.by_age(refunds)),
            disputes=tuple(shown.dispute_of(found) for found in shown.by_age(disputes or [])),
        )

    async def _refunds(self, payment_id: str) -> list[Shown]:
        listed = await self._api.get(f"/v1/payments/{payment_id}/refunds", {"count": LISTED_MAX})
        return list(listed["items"])

    async def _disputes(self, payment: Shown) -> list[Shown] | None:
        """The payment's disputes, which Razorpay cannot list; None when there are too many to look through."""
        found: dict[str, Mapping[str, Any]] = {}
        for page in range(DISPUTE_PAGES_MAX):
            params = {"from": int(payment["created_at"]), "count": LISTED_MAX, "skip": page * LISTED_MAX}
            listed = (await self._api.get("/v1/disputes", params))["items"]
            # Newest first: one that comes meanwhile moves others to the next page, and none past us.
            found.update((one["id"], one) for one in listed if one["payment_id"] == payment["id"])
            if len(listed) < LISTED_MAX:
                return list(found.values())
        return None
