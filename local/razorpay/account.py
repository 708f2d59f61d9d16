"""An account at a stand-in for Razorpay: orders, payments, refunds, disputes, settlements, and events.

In the shapes of https://razorpay.com/docs/api as far as a shop that uses its checkout sees them. Objects keep their
state, a refund's key makes one of two requests, a receipt one of two orders, and whatever happens leaves an event.
"""

import copy
import hashlib
import itertools
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from local.razorpay.refusal import RazorpayRefusal
from local.razorpay.settlements import SETTLED_AFTER_S, Settlements, fee_of, tax_of

Object = dict[str, Any]
LISTED_DEFAULT, LISTED_MAX = 10, 100
AMOUNT_MIN = 100
"""One rupee."""
REFUND_KEY_CHARS_MIN = 10
NOTES_MAX, NOTE_CHARS_MAX = 15, 256
RECEIPT_CHARS_MAX = 40
_FOLDERS = {
    "orders": "order",
    "payments": "payment",
    "refunds": "refund",
    "disputes": "dispute",
    "settlements": "settlement",
}


class RazorpayAccount:
    """All that one API key reaches. `events` are its events, oldest first."""

    def __init__(self, clock_s: Callable[[], int]) -> None:
        self.events: list[Object] = []
        self._clock_s = clock_s
        self._objects: dict[str, Object] = {}
        self._answers: dict[str, tuple[str, Object]] = {}
        self._numbers = itertools.count(1)
        self.settlements = Settlements(self._objects, self._add, self._tell, clock_s)

    def handle(self, method: str, path: str, params: Mapping[str, Any], key: str | None = None) -> Object:
        """Answer one request of the API: its query, or its body. Raise RazorpayRefusal."""
        version, *parts = path.strip("/").split("/")
        if version != "v1":
            raise RazorpayRefusal("The requested URL was not found on the server.", status=404)
        match method, *parts:
            case "GET", folder:
                return self._list(folder, {}, params)
            case "GET", folder, object_id:
                return copy.deepcopy(self._find(folder, object_id))
            case "GET", "settlements", "recon", "combined":
                return self.settlements.recon(params)
            case "GET", "orders", object_id, "payments":
                return self._list("payments", {"order_id": self._find("orders", object_id)["id"]}, params)
            case "GET", "payments", object_id, "refunds":
                return self._list("refunds", {"payment_id": self._find("payments", object_id)["id"]}, params)
            case "POST", "orders":
                return copy.deepcopy(self._make_order(params))
            case "POST", "payments", object_id, "refund":
                return self._once(key, [path, params], lambda: self._make_refund(object_id, params))
            case _:
                raise RazorpayRefusal("The requested URL was not found on the server.", status=404)

    def forget_keys(self) -> None:
        """Keys are not kept for ever."""
        self._answers.clear()

    def pay(self, order_id: str, *, later: bool = False) -> Object:
        """The buyer pays; `later` by a bank that says so only in the end (`arrive`). Answers the payment."""
        order = self._find("orders", order_id)
        if order["status"] == "paid":
            raise RazorpayRefusal("This order has already been paid.")
        payment = self._attempt(order, "authorized")
        self._tell("payment.authorized", payment=payment)
        if not later:
            self.arrive(payment["id"])
        return payment

    def arrive(self, payment_id: str) -> Object:
        """An authorized payment is captured."""
        payment = self._find("payments", payment_id)
        order = self._find("orders", payment["order_id"])
        fee = fee_of(payment["amount"])
        payment.update(status="captured", captured=True, fee=fee, tax=tax_of(fee))
        self.settlements.owe("payment", payment, payment["amount"], fee=fee)
        order.update(status="paid", amount_paid=order["amount"], amount_due=0)
        self._tell("payment.captured", payment=payment)
        self._tell("order.paid", payment=payment, order=order)
        return payment

    def decline(self, order_id: str) -> Object:
        """The buyer's bank says no; they may try again."""
        payment = self._attempt(self._find("orders", order_id), "failed")
        self._tell("payment.failed", payment=payment)
        return payment

    def fail_refund(self, refund_id: str) -> Object:
        """A refund that was made comes back."""
        refund = self._find("refunds", refund_id)
        refund["status"] = "failed"
        payment = self._find("payments", refund["payment_id"])
        self._count_refunded(payment, -refund["amount"])
        self.settlements.take_back(refund)
        self._tell("refund.failed", refund=refund, payment=payment)
        return refund

    def dispute(self, payment_id: str, *, amount: int | None = None, phase: str = "chargeback") -> Object:
        """The buyer's bank disputes a payment."""
        payment = self._find("payments", payment_id)
        dispute = self._add(
            "dispute",
            "disp",
            payment_id=payment_id,
            amount=payment["amount"] if amount is None else amount,
            currency=payment["currency"],
            amount_deducted=0,
            reason_code="goods_or_services_not_received_or_partially_received",
            respond_by=self._clock_s() + 7 * 86_400,
            status="open",
            phase=phase,
        )
        self._tell("payment.dispute.created", payment=payment, dispute=dispute)
        return dispute

    def decide(self, dispute_id: str, status: str) -> Object:
        """The bank decides: won, lost, closed, or what else there is."""
        dispute = self._find("disputes", dispute_id)
        deducted = dispute["amount"] if status == "lost" else 0
        dispute.update(status=status, amount_deducted=deducted)
        if deducted:
            self.settlements.adjust(-deducted, "Debit for a dispute", dispute=dispute)
        self._tell(f"payment.dispute.{status}", payment=self._find("payments", dispute["payment_id"]), dispute=dispute)
        return dispute

    def sweep(self, currency: str, *, after_s: int = SETTLED_AFTER_S) -> Object:
        """What the settlement cycle does: send to the bank what is older than that."""
        return self.settlements.sweep(currency, after_s)

    def reach_bank(self, settlement_id: str) -> Object:
        """The bank has taken a settlement."""
        return self.settlements.reach_bank(self._find("settlements", settlement_id))

    def bounce(self, settlement_id: str) -> Object:
        """The bank has not; what was in it waits for the next one."""
        return self.settlements.bounce(self._find("settlements", settlement_id))

    def tamper(self, object_id: str, **fields: Any) -> None:
        """Make an object what it should never be, for tests of who believes it."""
        self._objects[object_id].update(fields)

    def _once(self, key: str | None, asked: Any, make: Callable[[], Object]) -> Object:
        if key is None:
            return copy.deepcopy(make())
        if len(key) < REFUND_KEY_CHARS_MIN:
            raise RazorpayRefusal("The idempotency key should be at least 10 characters long.")
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        if key in self._answers:
            if self._answers[key][0] != digest:
                raise RazorpayRefusal("Different request with the same idempotency key.")
            return copy.deepcopy(self._answers[key][1])
        made = make()
        self._answers[key] = (digest, copy.deepcopy(made))
        return copy.deepcopy(made)

    def _list(self, folder: str, wanted: Mapping[str, str], params: Mapping[str, Any]) -> Object:
        if folder not in _FOLDERS:
            raise RazorpayRefusal("The requested URL was not found on the server.", status=404)
        count, skip = int(params.get("count", LISTED_DEFAULT)), int(params.get("skip", 0))
        if not 0 < count <= LISTED_MAX:
            raise RazorpayRefusal("The count may not be greater than 100.", field="count")
        first, last = int(params.get("from", 0)), int(params.get("to", 2**40))
        found = [
            copy.deepcopy(one)
            for one in reversed(self._objects.values())
            if one["entity"] == _FOLDERS[folder]
            and first <= one["created_at"] <= last
            and all(one[name] == value for name, value in wanted.items())
        ]
        items = found[skip : skip + count]
        return {"entity": "collection", "count": len(items), "items": items}

    def _find(self, folder: str, object_id: str) -> Object:
        found = self._objects.get(object_id)
        if folder not in _FOLDERS or found is None or found["entity"] != _FOLDERS[folder]:
            raise RazorpayRefusal("The id provided does not exist")
        return found

    def _make_order(self, params: Mapping[str, Any]) -> Object:
        amount, currency, notes = params.get("amount"), params.get("currency"), params.get("notes") or []
        receipt = params.get("receipt")
        if not isinstance(amount, int) or amount < AMOUNT_MIN:
            raise RazorpayRefusal("Order amount less than minimum amount allowed", field="amount")
        if not isinstance(currency, str) or len(currency) != 3:
            raise RazorpayRefusal("The currency field is required.", field="currency")
        if receipt is not None and len(receipt) > RECEIPT_CHARS_MAX:
            raise RazorpayRefusal("The receipt may not be greater than 40 characters.", field="receipt")
        if len(notes) > NOTES_MAX or any(len(str(notes[name])) > NOTE_CHARS_MAX for name in notes):
            raise RazorpayRefusal("Number of fields in notes should be less than or equal to 15", field="notes")
        if params.get("unique_receipt"):
            same = [one for one in self._objects.values() if one["entity"] == "order" and one["receipt"] == receipt]
            if same and (same[0]["amount"], same[0]["currency"]) != (amount, currency):
                raise RazorpayRefusal("Order receipt should be unique.", field="receipt")
            if same:
                return same[0]
        return self._add(
            "order",
            "order",
            amount=amount,
            amount_paid=0,
            amount_due=amount,
            currency=currency,
            receipt=receipt,
            status="created",
            attempts=0,
            notes=notes,
        )

    def _make_refund(self, payment_id: str, params: Mapping[str, Any]) -> Object:
        payment = self._find("payments", payment_id)
        left = payment["amount"] - payment["amount_refunded"]
        amount = int(params.get("amount", left))
        if not payment["captured"]:
            raise RazorpayRefusal("The payment status should be captured for action to be taken")
        if left == 0:
            raise RazorpayRefusal("The payment has been fully refunded already")
        if amount < AMOUNT_MIN and amount != left:
            raise RazorpayRefusal("The amount must be atleast INR 1.00", field="amount")
        if amount > left:
            raise RazorpayRefusal("The refund amount provided is greater than amount captured", field="amount")
        self._count_refunded(payment, amount)
        refund = self._add(
            "refund",
            "rfnd",
            payment_id=payment_id,
            amount=amount,
            currency=payment["currency"],
            notes=params.get("notes") or [],
            receipt=params.get("receipt"),
            status="processed",
            speed_requested=params.get("speed", "normal"),
            speed_processed="normal",
        )
        self.settlements.owe("refund", refund, -amount)
        self._tell("refund.created", refund=refund, payment=payment)
        self._tell("refund.processed", refund=refund, payment=payment)
        return refund

    def _count_refunded(self, payment: Object, amount: int) -> None:
        refunded = payment["amount_refunded"] + amount
        is_full = refunded >= payment["amount"]
        payment.update(
            amount_refunded=refunded,
            status="refunded" if is_full else "captured",
            refund_status="full" if is_full else "partial" if refunded else None,
        )

    def _attempt(self, order: Object, status: str) -> Object:
        order["attempts"] += 1
        if order["status"] == "created":
            order["status"] = "attempted"
        return self._add(
            "payment",
            "pay",
            amount=order["amount"],
            currency=order["currency"],
            status=status,
            order_id=order["id"],
            method="upi",
            amount_refunded=0,
            refund_status=None,
            captured=False,
            # Told once it is captured.
            fee=None,
            tax=None,
            # The browser writes these, whatever the order's say.
            notes=[],
            error_code="BAD_REQUEST_ERROR" if status == "failed" else None,
        )

    def _add(self, kind: str, prefix: str, **fields: Any) -> Object:
        object_id = f"{prefix}_{next(self._numbers):04d}{secrets.token_hex(5)}"
        self._objects[object_id] = {"id": object_id, "entity": kind, "created_at": self._clock_s(), **fields}
        return self._objects[object_id]

    def _tell(self, kind: str, **about: Object) -> None:
        self.events.append(
            {
                "entity": "event",
                "account_id": "acc_standin",
                "event": kind,
                "contains": list(about),
                "payload": {name: {"entity": copy.deepcopy(found)} for name, found in about.items()},
                "created_at": self._clock_s(),
            }
        )
