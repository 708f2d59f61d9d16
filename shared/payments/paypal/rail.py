"""PayPal as a rail: the buyer approves an order, we capture it, and the capture says what became of the money.

https://developer.paypal.com/docs/api/orders/v2/, payments/v2 and customer-disputes/v1. What PayPal shows is turned into
ours in `shown.py`.
"""

import hashlib

from msgspec.structs import replace

from shared.base.clock import Clock
from shared.base.together import all_of, both
from shared.payments.errors import RailRefused, RailUnavailable
from shared.payments.models import (
    Checkout,
    DisputeSeen,
    Money,
    Order,
    PaymentId,
    PaymentStatus,
    RailName,
    Seen,
    Subject,
)
from shared.payments.paypal import shown
from shared.payments.paypal.amounts import AmountOdd, money_of, value_of
from shared.payments.paypal.gateway import PayPalApi
from shared.payments.paypal.shown import Object
from shared.payments.rules import pack_of

ORDERS = "/v2/checkout/orders"
CAPTURES = "/v2/payments/captures"
REFUNDS = "/v2/payments/refunds"
DISPUTES = "/v1/customer/disputes"
DISPUTES_MAX = 50
"""PayPal's largest page. More disputes of one payment are for a person."""
_NAME = "PayPal"
_CAPTURED = (None, "ORDER_ALREADY_CAPTURED")
_GONE = frozenset({"RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID"})


class PayPalRail:
    """Payments by PayPal."""

    name = RailName.PAYPAL

    def __init__(self, api: PayPalApi, merchant_id: str, return_url: str, clock: Clock) -> None:
        """`merchant_id` is whose account the money must go to; `return_url` is where buyers come back to."""
        self._api = api
        self._merchant_id = merchant_id
        self._return_url = return_url
        self._clock = clock

    async def begin(self, order: Order) -> Checkout:
        back = f"{self._return_url}{'&' if '?' in self._return_url else '?'}order={order.order_id}&result="
        body = {
            "intent": "CAPTURE",
            "purchase_units": [
                {
                    # PayPal's orders have no end that we could set, so ours is told to whoever looks later.
                    "reference_id": shown.reference_of(order.expires_at_ms),
                    "custom_id": order.order_id,
                    # PayPal takes money once for an invoice, whatever becomes of everything else.
                    "invoice_id": order.order_id,
                    "description": f"{pack_of(order.pack_id).title}: credits",
                    "amount": self._amount(order.money),
                    "payee": {"merchant_id": self._merchant_id},
                }
            ],
            "payment_source": {
                "paypal": {
                    "experience_context": {
                        "user_action": "PAY_NOW",
                        "shipping_preference": "NO_SHIPPING",
                        "payment_method_preference": "IMMEDIATE_PAYMENT_REQUIRED",
                        "return_url": back + "paid",
                        "cancel_url": back + "cancelled",
                    }
                }
            },
        }
        made = await self._api.post(ORDERS, body, key=f"checkout-{order.order_id}")
        links = {str(link["rel"]): str(link["href"]) for link in made.get("links", [])}
        url = links.get("payer-action") or links.get("approve")
        if url is None:
            raise RailRefused(_NAME, "no page to pay on")
        return Checkout(str(made["id"]), url)

    def subject_of(self, order: Order) -> Subject | None:
        if order.payment_id is not None:
            return Subject("capture", order.payment_id)
        return Subject("order", order.checkout.reference) if order.checkout else None

    async def look(self, subject: Subject) -> Seen | None:
        match subject.kind:
            case "order":
                return await self._look_at_order(subject.object_id)
            case "capture":
                return await self._look_at_capture(subject.object_id)
            case "refund":
                refund = await self._api.get(f"{REFUNDS}/{subject.object_id}", {})
                return await self._look_at_capture(_above(refund, CAPTURES), refund=refund)
            case _:
                dispute = await self._api.get(f"{DISPUTES}/{subject.object_id}", {})
                return await self._look_at_capture(_disputed(dispute), dispute=dispute)

    async def refund(self, payment_id: PaymentId, money: Money, *, key: str) -> None:
        # PayPal forgets keys after weeks; what was made under this one says so itself.
        capture = await self._api.get(f"{CAPTURES}/{payment_id}", {})
        order = await self._order_of(capture)
        if any(found.get("custom_id") == key for found in shown.refunds_of(order, payment_id)):
            return
        body = {"amount": self._amount(money), "custom_id": key}
        try:
            await self._api.post(f"{CAPTURES}/{payment_id}/refund", body, key=key)
        except RailRefused as refusal:
            # Made by somebody else, or by a try whose key PayPal has forgotten: what is wanted is done.
            if refusal.provider_code != "CAPTURE_FULLY_REFUNDED":
                raise

    async def _look_at_order(self, paypal_order_id: str) -> Seen | None:
        order = await self._api.get(f"{ORDERS}/{paypal_order_id}", {})
        order_id = shown.order_id_of(shown.unit_of(order))
        if order_id is None:
            # Sold by somebody else who uses the same account.
            return None
        if shown.payee_of(shown.unit_of(order)) != self._merchant_id:
            # Anybody can have an order made that names ours and pays somebody else.
            return shown.unknown(order_id, "it pays another merchant")
        refusal = None
        if order["status"] == "APPROVED":
            refusal = await self._take(paypal_order_id, order_id, order)
            # If we die here, the next look finds it captured.
            order = await self._api.get(f"{ORDERS}/{paypal_order_id}", {})
            if refusal in _CAPTURED and not shown.captures_of(order):
                # The money has moved, and PayPal does not show it everywhere yet.
                raise RailUnavailable(_NAME)
        captures = shown.captures_of(order)
        if len(captures) > 1:
            return shown.unknown(order_id, "several captures")
        if captures:
            return await self._look_at_capture(str(captures[0]["id"]))
        return shown.unpaid(order, order_id, refusal, now_ms=self._clock())

    async def _take(self, paypal_order_id: str, order_id: str, order: Object) -> str | None:
        """Have PayPal move the money of an order that its buyer approved; PayPal's word where it will not.

        An order is captured once, by whomever and under whatever key. The key only lets a lost answer be told again,
        and is another one after each approval, for a buyer whose card was declined may come back with a better one.
        """
        approval = hashlib.sha256(str(order.get("update_time")).encode()).hexdigest()[:12]
        try:
            await self._api.post(f"{ORDERS}/{paypal_order_id}/capture", {}, key=f"capture-{order_id}-{approval}")
        except RailRefused as refusal:
            return refusal.provider_code
        return None

    async def _look_at_capture(
        self, capture_id: str, *, refund: Object | None = None, dispute: Object | None = None
    ) -> Seen | None:
        """All that PayPal shows of a capture; what led here counts too, for lists may be behind."""
        capture = await self._api.get(f"{CAPTURES}/{capture_id}", {})
        order_id = shown.order_id_of(capture)
        if order_id is None:
            return None
        order, (disputes, has_more) = await both(self._order_of(capture), self._disputes_of(capture_id, dispute))
        if (shown.payee_of(capture) or shown.payee_of(shown.unit_of(order))) != self._merchant_id:
            return shown.unknown(order_id, "it pays another merchant")
        refunds = shown.refunds_of(order, capture_id)
        if refund is not None and refund["id"] not in [found["id"] for found in refunds]:
            refunds.append(refund)
        try:
            money = money_of(capture.get("amount"))
            refunds_seen = tuple(shown.refund_of(found, money) for found in refunds)
            disputes_seen = tuple(shown.dispute_of(found, money, refunds) for found in disputes)
            seen = shown.payment_of(capture, order_id, money, refunds)
        except AmountOdd:
            return shown.unknown(order_id, "an amount that is none")
        if has_more:
            seen = replace(seen, status=PaymentStatus.UNKNOWN, status_word=f"more than {DISPUTES_MAX} disputes")
        return replace(seen, refunds=refunds_seen, disputes=_by_id(disputes_seen))

    async def _order_of(self, capture: Object) -> Object:
        """The order that was captured; an empty one when PayPal has forgotten it."""
        related = capture.get("supplementary_data", {}).get("related_ids", {}).get("order_id")
        try:
            return await self._api.get(f"{ORDERS}/{related or _above(capture, ORDERS)}", {})
        except RailRefused as refusal:
            if refusal.provider_code not in _GONE:
                raise
            return {}

    async def _disputes_of(self, capture_id: str, known: Object | None) -> tuple[list[Object], bool]:
        """The disputes of a payment, and whether there are more. The list has no outcomes, so each is looked at."""
        params = {"disputed_transaction_id": capture_id, "page_size": str(DISPUTES_MAX)}
        listed = await self._api.get(DISPUTES, params)
        ids = [str(found["dispute_id"]) for found in listed.get("items", [])]
        wanted = [dispute_id for dispute_id in ids if known is None or dispute_id != known["dispute_id"]]
        found = await all_of(self._api.get(f"{DISPUTES}/{dispute_id}", {}) for dispute_id in wanted)
        return [*found, *([known] if known else [])], _has_more(listed)

    def _amount(self, money: Money) -> dict[str, str]:
        try:
            return {"currency_code": money.currency, "value": value_of(money)}
        except AmountOdd:
            raise RailRefused(_NAME, "CURRENCY_NOT_SUPPORTED") from None


def _above(found: Object, folder: str) -> str:
    """The id of what an object belongs to, by its link; only the id is taken from it."""
    for link in found.get("links", []):
        before, _, last = str(link.get("href")).rpartition("/")
        if link.get("rel") == "up" and before.endswith(folder) and shown.is_id(last):
            return last
    raise RailRefused(_NAME, "no link to what it belongs to")


def _disputed(dispute: Object) -> str:
    """The one payment that a dispute is about."""
    ids = [str(found.get("seller_transaction_id")) for found in dispute.get("disputed_transactions", [])]
    if len(ids) != 1 or not shown.is_id(ids[0]):
        raise RailRefused(_NAME, f"a dispute of {len(ids)} payments")
    return ids[0]


def _has_more(listed: Object) -> bool:
    return any(link.get("rel") == "next" for link in listed.get("links", []))


def _by_id(disputes: tuple[DisputeSeen, ...]) -> tuple[DisputeSeen, ...]:
    return tuple(sorted(disputes, key=lambda found: found.dispute_id))
