"""What the stand-in for Razorpay owes its merchant, and the settlements that take it to the bank.

In the shapes of https://razorpay.com/docs/api/settlements/. Two days after a payment came it is settled, less the fee
and the tax on it, together with the refunds and adjustments of the days between.
"""

import copy
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from local.razorpay.refusal import RazorpayRefusal

Object = dict[str, Any]
SETTLED_AFTER_S = 2 * 86_400
"""Two days: what Razorpay does for domestic payments. Its working days are not played."""
FEE_PPM, TAX_PPM = 20_000, 180_000
"""Two per cent, and on them India's tax on services. `fee` has both in it."""
RECON_DEFAULT, RECON_MAX = 10, 1_000
INDIA = timezone(timedelta(hours=5, minutes=30))
"""In whose days settlements are listed."""


def fee_of(amount: int) -> int:
    """What is kept of a payment, tax included."""
    fee = amount * FEE_PPM // 1_000_000
    return fee + fee * TAX_PPM // 1_000_000


def tax_of(fee: int) -> int:
    """The part of a fee that is tax."""
    return fee - fee * 1_000_000 // (1_000_000 + TAX_PPM)


class Settlements:
    """What is owed, item by item, and what was settled."""

    def __init__(
        self,
        objects: dict[str, Object],
        add: Callable[..., Object],
        tell: Callable[..., None],
        clock_s: Callable[[], int],
    ) -> None:
        self._objects = objects
        self._add = add
        self._tell = tell
        self._clock_s = clock_s
        self.items: list[Object] = []
        """What is owed or was settled, oldest first."""

    def owe(self, kind: str, about: Object, amount: int, *, fee: int = 0, dispute: Object | None = None) -> None:
        """Something that the next settlements are to have in them; negative where the merchant owes it."""
        net = amount - fee
        order = self._objects.get(str(about.get("order_id")), {})
        self.items.append(
            {
                "entity_id": about["id"],
                "type": kind,
                "debit": max(-net, 0),
                "credit": max(net, 0),
                "amount": abs(amount),
                "currency": about["currency"],
                "fee": fee,
                "tax": tax_of(fee),
                "on_hold": False,
                "settled": False,
                "created_at": about["created_at"],
                "settled_at": None,
                "settlement_id": None,
                "settlement_utr": None,
                "posted_at": None,
                "credit_type": "default",
                "description": about.get("description"),
                "notes": "{}",
                "payment_id": about.get("payment_id") if kind == "refund" else None,
                "order_id": about.get("order_id"),
                "order_receipt": order.get("receipt"),
                "method": about.get("method"),
                "dispute_id": dispute["id"] if dispute else None,
            }
        )

    def adjust(self, amount: int, description: str, *, dispute: Object | None = None) -> Object:
        """Something that is neither a payment nor a refund."""
        adjustment = self._add("adjustment", "adj", amount=amount, currency="INR", description=description)
        self.owe("adjustment", adjustment, amount, dispute=dispute)
        return adjustment

    def take_back(self, refund: Object) -> None:
        """A refund failed: it is owed no more, or given back where a settlement has taken it."""
        item = next(one for one in self.items if one["entity_id"] == refund["id"])
        if item["settlement_id"] is None:
            self.items.remove(item)
        else:
            self.adjust(refund["amount"], "Credit for a refund that failed")

    def tamper(self, entity_id: str, **fields: Any) -> None:
        """Make a settlement count something as it never was."""
        next(one for one in self.items if one["entity_id"] == entity_id).update(fields)

    def sweep(self, currency: str, after_s: int) -> Object:
        """Settle what is so old. Raise RazorpayRefusal when it comes to nothing."""
        old = self._clock_s() - after_s
        due = [one for one in self.items if one["settlement_id"] is None and one["created_at"] <= old]
        amount = sum(one["credit"] - one["debit"] for one in due)
        if currency != "INR" or amount <= 0:
            raise RazorpayRefusal("There is nothing to settle.")
        utr = f"{self._clock_s()}{secrets.token_hex(3)}"
        settlement = self._add("settlement", "setl", amount=amount, status="created", fees=0, tax=0, utr=utr)
        for one in due:
            one.update(
                settled=True, settlement_id=settlement["id"], settlement_utr=utr, settled_at=settlement["created_at"]
            )
        return settlement

    def reach_bank(self, settlement: Object) -> Object:
        """It arrived."""
        settlement["status"] = "processed"
        self._tell("settlement.processed", settlement=settlement)
        return settlement

    def bounce(self, settlement: Object) -> Object:
        """It did not."""
        settlement["status"] = "failed"
        for one in self.items:
            if one["settlement_id"] == settlement["id"]:
                one.update(settled=False, settlement_id=None, settlement_utr=None, settled_at=None)
        return settlement

    def recon(self, params: Mapping[str, Any]) -> Object:
        """What was settled in a month, or on a day of it."""
        year, month, day = int(params["year"]), int(params["month"]), int(params.get("day", 0))
        count, skip = int(params.get("count", RECON_DEFAULT)), int(params.get("skip", 0))
        if not 0 < count <= RECON_MAX:
            raise RazorpayRefusal("The count may not be greater than 1000.", field="count")
        found = [
            copy.deepcopy(one)
            for one in self.items
            if one["settled_at"] is not None and _is_within(one["settled_at"], year, month, day)
        ]
        items = found[skip : skip + count]
        return {"entity": "collection", "count": len(items), "items": items}


def _is_within(at_s: int, year: int, month: int, day: int) -> bool:
    at = datetime.fromtimestamp(at_s, UTC).astimezone(INDIA)
    return (at.year, at.month) == (year, month) and day in (0, at.day)
