"""The balances at the stand-in: every movement of money is a balance transaction, and the sum of their nets is there.

Everything is available at once; Stripe keeps a charge back for days.
"""

import copy
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from local.stripe.objects import PLATFORM, Object, Objects
from local.stripe.refusal import StripeRefusal

CARD_FEE_PPM, CARD_FEE_FIXED_MINOR = 29_000, 30
"""2.9 % and 30 of the smallest unit, half a unit rounded up."""
DISPUTE_FEE_MINOR = 1_500
_CATEGORIES = {"payment": "charge", "payment_refund": "refund", "transfer_refund": "transfer_reversal"}
"""Of types whose reporting category is another word."""


class Balance:
    """The platform's balance and those of connected accounts."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def book(
        self,
        kind: str,
        source: Object,
        amount: int,
        *,
        owner: str = PLATFORM,
        fee: int = 0,
        category: str | None = None,
        payout: str | None = None,
    ) -> Object:
        """Write a movement down; `source` is the object that made it."""
        currency = source["currency"]
        fees = [{"amount": fee, "application": None, "currency": currency, "description": None, "type": "stripe_fee"}]
        return self._objects.add(
            "balance_transaction",
            "txn",
            owner=owner,
            amount=amount,
            available_on=self._objects.clock_s(),
            currency=currency,
            description=None,
            exchange_rate=None,
            fee=fee,
            fee_details=fees if fee else [],
            net=amount - fee,
            reporting_category=category or _CATEGORIES.get(kind, kind),
            source=source["id"],
            status="available",
            type=kind,
            payout=payout,
        )

    def available(self, currency: str, owner: str = PLATFORM) -> int:
        """What is there in a currency."""
        return self._sums(owner)[currency]

    def require(self, amount: int, currency: str, owner: str = PLATFORM) -> None:
        """Raise StripeRefusal when there is less."""
        if self.available(currency, owner) < amount:
            raise StripeRefusal(400, "balance_insufficient")

    def read(self, owner: str) -> Object:
        """The object `balance`."""
        available = [{"amount": amount, "currency": currency} for currency, amount in sorted(self._sums(owner).items())]
        pending = [{"amount": 0, "currency": one["currency"]} for one in available]
        return {"object": "balance", "available": available, "pending": pending, "livemode": self._objects.is_live}

    def read_one(self, transaction_id: str, params: Mapping[str, Any], owner: str) -> Object:
        """One movement. Raise StripeRefusal."""
        return self._shown(self._objects.find("balance_transaction", transaction_id, owner), "source", params)

    def listed(self, params: Mapping[str, Any], owner: str) -> Object:
        """Movements, newest first; of one payout those that it took to the bank, and its own."""
        filters = ("payout", "type", "source", "currency")
        page = self._objects.listed("balance_transaction", "/v1/balance_transactions", params, owner, filters)
        return {**page, "data": [self._shown(one, "data.source", params) for one in page["data"]]}

    def paid_out(self, currency: str, owner: str, payout_id: str) -> None:
        """All that no payout took so far goes with this one."""
        for one in self._objects.all("balance_transaction", owner):
            if one["currency"] == currency and one["payout"] is None:
                one["payout"] = payout_id

    def _shown(self, transaction: Object, path: str, params: Mapping[str, Any]) -> Object:
        """Stripe lists by payout and does not show it; the source is an id, or the whole of it where that is asked."""
        shown = {name: value for name, value in transaction.items() if name not in ("payout", "livemode")}
        if path in dict(params.get("expand", {})).values():
            shown["source"] = copy.deepcopy(self._objects.get(shown["source"]) or shown["source"])
        return shown

    def _sums(self, owner: str) -> defaultdict[str, int]:
        sums: defaultdict[str, int] = defaultdict(int)
        for one in self._objects.all("balance_transaction", owner):
            sums[one["currency"]] += one["net"]
        return sums


def card_fee(amount: int) -> int:
    """What Stripe keeps of a charge."""
    return (amount * CARD_FEE_PPM + 500_000) // 1_000_000 + CARD_FEE_FIXED_MINOR
