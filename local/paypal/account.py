"""An account at a stand-in for PayPal: orders, captures, refunds, disputes, and events.

In the shapes of Orders v2, Payments v2 and Customer Disputes v1 (https://developer.paypal.com/docs/api/), as far as a
shop sees them. Objects keep their state, a key makes one of two requests, and whatever happens leaves an event.
"""

import hashlib
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from local.paypal.keys import RequestKeys
from local.paypal.refusal import absent, malformed, unprocessable
from local.paypal.reports import CHARGEBACK, REFUND, RETURN, REVERSAL, Reports
from local.paypal.shapes import amount_in, amount_of, copy_of, disputes_of, event_of, links_of, new_id

Object = dict[str, Any]
MERCHANT_ID = "CREDENCE23456"
"""Whose account it is."""
PAID = ("COMPLETED", "PARTIALLY_REFUNDED", "REFUNDED")


class PayPalAccount:
    """All that one client id reaches. `events` are its events, oldest first."""

    def __init__(
        self,
        clock_s: Callable[[], int],
        page_url: str = "http://127.0.0.1/checkoutnow",
        api_url: str = "https://api-m.sandbox.paypal.com",
    ) -> None:
        """`page_url` is where the pages stand on which buyers pay."""
        self.events: list[Object] = []
        self._clock_s = clock_s
        self._page_url = page_url
        self._api_url = api_url
        self._objects: dict[str, Object] = {}
        self._kinds: dict[str, str] = {}
        self._funding: dict[str, str] = {}
        self._keys = RequestKeys()
        self.reports = Reports(clock_s)

    def handle(self, method: str, path: str, asked: Mapping[str, Any], key: str | None = None) -> Object:
        """Answer one request of the API. Raise PayPalRefusal."""
        if method == "GET":
            return self._read(path, asked)
        return self._keys.once(key, path, asked, lambda: self._make(path, asked))

    def forget_keys(self) -> None:
        """What PayPal does after some hours, or weeks."""
        self._keys.forget()

    def approve(self, order_id: str, *, funding: str = "good") -> Object:
        """The buyer approves. What pays may be `good`, be `declined` when it is captured, or be held for `review`."""
        order = self._get("order", order_id)
        if order["status"] not in ("PAYER_ACTION_REQUIRED", "APPROVED"):
            raise unprocessable("ORDER_CANNOT_BE_APPROVED")
        self._funding[order_id] = funding
        order.update(status="APPROVED", update_time=self._now(), payer={"payer_id": secrets.token_hex(6).upper()})
        self._tell("CHECKOUT.ORDER.APPROVED", "checkout-order", order)
        return order

    def capture(self, order_id: str) -> Object:
        """The money of an approved order moves; the capture."""
        order = self._get("order", order_id)
        unit = order["purchase_units"][0]
        if order["status"] == "COMPLETED":
            raise unprocessable("ORDER_ALREADY_CAPTURED")
        if order["status"] != "APPROVED":
            raise unprocessable("ORDER_NOT_APPROVED")
        if self._is_paid(unit.get("invoice_id")):
            raise unprocessable("DUPLICATE_INVOICE_ID")
        if self._funding[order_id] == "declined":
            order["status"] = "PAYER_ACTION_REQUIRED"
            raise unprocessable("INSTRUMENT_DECLINED")
        capture = self._add_capture(order, "PENDING" if self._funding[order_id] == "review" else "COMPLETED")
        if capture["status"] == "COMPLETED":
            self.reports.book_payment(capture)
        order["status"] = "COMPLETED"
        self._tell(f"PAYMENT.CAPTURE.{capture['status']}", "capture", capture)
        self._tell("CHECKOUT.ORDER.COMPLETED", "checkout-order", order)
        return capture

    def arrive(self, capture_id: str, *, fails: bool = False) -> None:
        """What comes of money that was held."""
        capture = self._get("capture", capture_id)
        capture.update(status="DECLINED" if fails else "COMPLETED", update_time=self._now())
        if not fails:
            self.reports.book_payment(capture)
        self._tell("PAYMENT.CAPTURE.DENIED" if fails else "PAYMENT.CAPTURE.COMPLETED", "capture", capture)

    def forget(self, order_id: str) -> None:
        """What PayPal does with an order that nobody approved in time."""
        del self._objects[order_id]

    def give_back(self, capture_id: str, value: str) -> Object:
        """Somebody refunds a part in PayPal's own dashboard."""
        amount = {**self._get("capture", capture_id)["amount"], "value": value}
        return self._refund(capture_id, {"amount": amount})

    def reverse(self, capture_id: str) -> Object:
        """PayPal takes back all that is left, by itself."""
        return self._refund(capture_id, {}, kind="REVERSED")

    def fail_refund(self, refund_id: str) -> None:
        """A refund that was made comes back."""
        refund = self._get("refund", refund_id)
        refund["status"] = "FAILED"
        capture_id = refund["links"][1]["href"].rpartition("/")[2]
        self._count_refunds(capture_id)
        self.reports.book_back(RETURN, refund["amount"], capture_id)
        self._tell("PAYMENT.REFUND.FAILED", "refund", refund)

    def dispute(self, capture_id: str, *, value: str | None = None, status: str = "OPEN") -> Object:
        """The buyer disputes a payment."""
        paid = self._get("capture", capture_id)["amount"]
        dispute = self._add(
            "dispute",
            f"PP-D-{secrets.randbelow(10**8)}",
            reason="UNAUTHORISED",
            status=status,
            dispute_amount={**paid, "value": value or paid["value"]},
            disputed_transactions=[{"seller_transaction_id": capture_id, "gross_amount": paid}],
            dispute_life_cycle_stage="CHARGEBACK",
            dispute_channel="INTERNAL",
        )
        self._tell("CUSTOMER.DISPUTE.CREATED", "dispute", dispute)
        return dispute

    def decide(self, dispute_id: str, outcome: str) -> None:
        """The dispute ends."""
        dispute = self._get("dispute", dispute_id)
        dispute.update(status="RESOLVED", dispute_outcome={"outcome_code": outcome})
        if outcome == "RESOLVED_BUYER_FAVOUR":
            dispute["dispute_outcome"]["amount_refunded"] = dispute["dispute_amount"]
            capture_id = dispute["disputed_transactions"][0]["seller_transaction_id"]
            self.reports.book_back(CHARGEBACK, dispute["dispute_amount"], capture_id)
        self._tell("CUSTOMER.DISPUTE.RESOLVED", "dispute", dispute)

    def tamper(self, object_id: str, **fields: Any) -> None:
        """Make an object what it should never be, for tests of who believes it."""
        self._objects[object_id].update(fields)

    def capture_id_of(self, order_id: str) -> str:
        """What an order's capture is or will be called, for whoever plays its buyer."""
        return hashlib.sha256(order_id.encode()).hexdigest()[:17].upper()

    def is_captured(self, order_id: str) -> bool:
        """Whether the order's money has moved."""
        return self.capture_id_of(order_id) in self._objects

    def _read(self, path: str, asked: Mapping[str, Any]) -> Object:
        match path.strip("/").split("/"):
            case ["v2", "checkout", "orders", order_id]:
                return self._shown(self._get("order", order_id))
            case ["v2", "payments", ("captures" | "refunds") as folder, object_id]:
                return copy_of(self._get(folder[:-1], object_id))
            case ["v1", "customer", "disputes"]:
                return self._list_disputes(asked)
            case ["v1", "customer", "disputes", dispute_id]:
                return copy_of(self._get("dispute", dispute_id))
            case ["v1", "reporting", "transactions"]:
                return self.reports.transactions(asked)
            case ["v1", "reporting", "balances"]:
                return self.reports.balances(asked)
        raise absent()

    def _make(self, path: str, asked: Mapping[str, Any]) -> Object:
        match path.strip("/").split("/"):
            case ["v2", "checkout", "orders"]:
                return self._shown(self._make_order(asked))
            case ["v2", "checkout", "orders", order_id, "capture"]:
                self.capture(order_id)
                return self._shown(self._get("order", order_id))
            case ["v2", "payments", "captures", capture_id, "refund"]:
                return self._refund(capture_id, asked)
        raise absent()

    def _list_disputes(self, asked: Mapping[str, Any]) -> Object:
        disputes = [one for object_id, one in self._objects.items() if self._kinds[object_id] == "dispute"]
        return disputes_of(disputes, asked, self._api_url)

    def _make_order(self, asked: Mapping[str, Any]) -> Object:
        units = copy_of(asked.get("purchase_units"))
        if asked.get("intent") != "CAPTURE" or not isinstance(units, list) or not units:
            raise malformed("MISSING_REQUIRED_PARAMETER")
        for unit in units:
            amount_in(unit.get("amount"))
            unit.setdefault("reference_id", "default")
            unit.setdefault("payee", {"merchant_id": MERCHANT_ID})
        order = self._add(
            "order",
            new_id(),
            intent="CAPTURE",
            status="PAYER_ACTION_REQUIRED",
            payment_source=copy_of(asked.get("payment_source", {"paypal": {}})),
            purchase_units=units,
        )
        page = {"href": f"{self._page_url}/{order['id']}", "rel": "payer-action", "method": "GET"}
        order["links"] = [*links_of(f"{self._api_url}/v2/checkout/orders/{order['id']}"), page]
        return order

    def _add_capture(self, order: Object, status: str) -> Object:
        unit = order["purchase_units"][0]
        capture_id = self.capture_id_of(order["id"])
        shared = {name: unit[name] for name in ("custom_id", "invoice_id", "payee") if name in unit}
        capture = self._add(
            "capture",
            capture_id,
            status=status,
            amount=copy_of(unit["amount"]),
            final_capture=True,
            supplementary_data={"related_ids": {"order_id": order["id"]}},
            links=links_of(
                f"{self._api_url}/v2/payments/captures/{capture_id}",
                up=f"{self._api_url}/v2/checkout/orders/{order['id']}",
            ),
            **copy_of(shared),
        )
        if status == "PENDING":
            capture["status_details"] = {"reason": "PENDING_REVIEW"}
        unit["payments"] = {"captures": [capture_id], "refunds": []}
        return capture

    def _refund(self, capture_id: str, asked: Mapping[str, Any], *, kind: str = "REFUNDED") -> Object:
        capture = self._get("capture", capture_id)
        left = amount_in(capture["amount"]) - self._refunded(capture_id)
        amount = amount_in(asked["amount"]) if asked.get("amount") else left
        if capture["status"] not in PAID:
            raise unprocessable("CAPTURE_STATUS_NOT_VALID")
        if left == 0:
            raise unprocessable("CAPTURE_FULLY_REFUNDED")
        if not 0 < amount <= left:
            raise unprocessable("REFUND_AMOUNT_EXCEEDED")
        if asked.get("amount", capture["amount"])["currency_code"] != capture["amount"]["currency_code"]:
            raise unprocessable("REFUND_CAPTURE_CURRENCY_MISMATCH")
        refund_id = new_id()
        refund = self._add(
            "refund",
            refund_id,
            status="COMPLETED",
            amount=amount_of(amount, capture["amount"]["currency_code"]),
            links=links_of(
                f"{self._api_url}/v2/payments/refunds/{refund_id}",
                up=f"{self._api_url}/v2/payments/captures/{capture_id}",
            ),
            **{name: asked[name] for name in ("custom_id", "invoice_id", "note_to_payer") if name in asked},
        )
        order = self._objects[capture["supplementary_data"]["related_ids"]["order_id"]]
        order["purchase_units"][0]["payments"]["refunds"].append(refund_id)
        self._count_refunds(capture_id)
        code = REVERSAL if kind == "REVERSED" else REFUND
        self.reports.book_back(code, refund["amount"], capture_id, about=refund_id)
        self._tell(f"PAYMENT.CAPTURE.{kind}", "refund", refund)
        return copy_of(refund)

    def _count_refunds(self, capture_id: str) -> None:
        capture, refunded = self._objects[capture_id], self._refunded(capture_id)
        left = amount_in(capture["amount"]) - refunded
        capture["status"] = "REFUNDED" if left == 0 else "PARTIALLY_REFUNDED" if refunded else "COMPLETED"

    def _refunded(self, capture_id: str) -> Decimal:
        order = self._objects[self._objects[capture_id]["supplementary_data"]["related_ids"]["order_id"]]
        refunds = [self._objects[refund_id] for refund_id in order["purchase_units"][0]["payments"]["refunds"]]
        return sum((amount_in(one["amount"]) for one in refunds if one["status"] == "COMPLETED"), Decimal())

    def _is_paid(self, invoice_id: str | None) -> bool:
        captures = [one for object_id, one in self._objects.items() if self._kinds[object_id] == "capture"]
        moved = (one for one in captures if one["status"] != "DECLINED")
        return invoice_id is not None and any(one.get("invoice_id") == invoice_id for one in moved)

    def _shown(self, order: Object) -> Object:
        """The order with its payments in it."""
        shown = copy_of(order)
        for unit in shown["purchase_units"]:
            for ids in unit.get("payments", {}).values():
                ids[:] = [copy_of(self._objects[object_id]) for object_id in ids]
        return shown

    def _get(self, kind: str, object_id: str) -> Object:
        if object_id not in self._objects or self._kinds[object_id] != kind:
            raise absent()
        return self._objects[object_id]

    def _add(self, kind: str, object_id: str, **fields: Any) -> Object:
        name = "dispute_id" if kind == "dispute" else "id"
        now = self._now()
        made = {name: object_id, "create_time": now, "update_time": now, "links": [], **fields}
        self._objects[object_id], self._kinds[object_id] = made, kind
        return made

    def _now(self) -> str:
        return datetime.fromtimestamp(self._clock_s(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _tell(self, event_type: str, resource_type: str, about: Object) -> None:
        shown = self._shown(about) if resource_type == "checkout-order" else copy_of(about)
        self.events.append(event_of(event_type, resource_type, shown, self._now()))
