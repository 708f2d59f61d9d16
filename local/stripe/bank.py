"""What leaves the stand-in for a bank: payouts of the platform and of connected accounts, by hand or by schedule."""

from collections.abc import Mapping
from typing import Any

from local.stripe.balance import Balance
from local.stripe.objects import PLATFORM, Object, Objects
from local.stripe.refusal import StripeRefusal


class Bank:
    """Makes payouts, and says what the bank made of them."""

    def __init__(self, objects: Objects, balance: Balance) -> None:
        self._objects = objects
        self._balance = balance
        self._by_hand: set[str] = set()

    def make(self, params: Mapping[str, Any], owner: str) -> Object:
        """A payout that the account asked for. Raise StripeRefusal."""
        amount, currency = int(params["amount"]), params["currency"]
        if amount <= 0:
            raise StripeRefusal(400, "parameter_invalid_integer")
        self._balance.require(amount, currency, owner)
        return self._add(amount, currency, owner, automatic=False, metadata=dict(params.get("metadata", {})))

    def sweep(self, currency: str, owner: str = PLATFORM) -> Object:
        """What the schedule does: pay out all that is there. Raise StripeRefusal when nothing is."""
        amount = self._balance.available(currency, owner)
        if amount <= 0:
            raise StripeRefusal(400, "balance_insufficient")
        payout = self._add(amount, currency, owner, automatic=True, metadata={})
        self._balance.paid_out(currency, owner, payout["id"])
        payout["reconciliation_status"] = "completed"
        self._objects.tell("payout.reconciliation_completed", payout)
        return payout

    def top_up(self, currency: str, amount: int) -> Object:
        """The platform's own money comes in, so that there is something to pay others from."""
        topup = self._objects.add("topup", "tu", amount=amount, currency=currency, status="succeeded")
        topup["balance_transaction"] = self._balance.book("topup", topup, amount)["id"]
        self._objects.tell("topup.succeeded", topup)
        return topup

    def settings(self, params: Mapping[str, Any], owner: str) -> Object:
        """By hand or by schedule; read with no parameters."""
        asked = params.get("payments", {}).get("payouts", {}).get("schedule", {}).get("interval")
        if asked == "manual":
            self._by_hand.add(owner)
        elif asked is not None:
            self._by_hand.discard(owner)
        interval = "manual" if owner in self._by_hand else "daily"
        return {"object": "balance_settings", "payments": {"payouts": {"schedule": {"interval": interval}}}}

    def arrive(self, payout_id: str) -> Object:
        """The bank has taken it."""
        payout = self._payout(payout_id, ("pending", "in_transit"))
        payout["status"] = "paid"
        self._objects.tell("payout.paid", payout)
        return payout

    def fail(self, payout_id: str, code: str = "account_closed") -> Object:
        """The bank sends it back, which may be days after it was paid."""
        payout = self._payout(payout_id, ("pending", "in_transit", "paid"))
        owner = self._objects.owner_of(payout_id)
        back = self._balance.book(
            "payout_failure", payout, payout["amount"], owner=owner, category="payout_reversal", payout=payout_id
        )
        payout.update(status="failed", failure_code=code, failure_balance_transaction=back["id"])
        self._objects.tell("payout.failed", payout)
        return payout

    def cancel(self, payout_id: str, owner: str | None = None) -> Object:
        """Called back before the bank had it. Raise StripeRefusal."""
        payout = self._payout(payout_id, ("pending",))
        owned_by = self._objects.owner_of(payout_id)
        if owner is not None and owner != owned_by:
            raise StripeRefusal(404, "resource_missing")
        back = self._balance.book(
            "payout_cancel", payout, payout["amount"], owner=owned_by, category="payout_reversal", payout=payout_id
        )
        payout.update(status="canceled", failure_balance_transaction=back["id"])
        self._objects.tell("payout.canceled", payout)
        return payout

    def _add(self, amount: int, currency: str, owner: str, *, automatic: bool, metadata: Object) -> Object:
        payout = self._objects.add(
            "payout",
            "po",
            owner=owner,
            amount=amount,
            currency=currency,
            arrival_date=self._objects.clock_s(),
            automatic=automatic,
            balance_transaction=None,
            failure_balance_transaction=None,
            failure_code=None,
            metadata=metadata,
            method="standard",
            reconciliation_status="in_progress" if automatic else "not_applicable",
            status="pending",
            type="bank_account",
        )
        booked = self._balance.book("payout", payout, -amount, owner=owner, payout=payout["id"])
        payout["balance_transaction"] = booked["id"]
        self._objects.tell("payout.created", payout)
        return payout

    def _payout(self, payout_id: str, statuses: tuple[str, ...]) -> Object:
        payout = self._objects.get(payout_id)
        if payout is None or payout["object"] != "payout":
            raise StripeRefusal(404, "resource_missing")
        if payout["status"] not in statuses:
            raise StripeRefusal(400, "payout_status_invalid")
        return payout
