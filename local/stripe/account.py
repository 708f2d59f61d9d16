"""An account at a stand-in for Stripe: sessions, payment intents, charges, refunds, disputes, warnings, and events.

In the shapes of https://docs.stripe.com/api, version 2026-10-28.endive, as far as a shop that uses Checkout sees them.
Objects keep their state, keys make one of two requests, and whatever happens leaves an event. What moves money is
booked in `balance.py`; what a platform with recipients sees besides is in `connect.py` and `bank.py`.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any

from local.stripe.balance import DISPUTE_FEE_MINOR, Balance, card_fee
from local.stripe.bank import Bank
from local.stripe.charges import charge_fields
from local.stripe.connect import Connect
from local.stripe.keys import Keys
from local.stripe.objects import PLATFORM, Object, Objects
from local.stripe.platform import PlatformApi
from local.stripe.refusal import StripeRefusal

SESSION_LIFETIME_S_MIN, SESSION_LIFETIME_S_MAX = 1_800, 86_400
_KINDS = {
    "/v1/checkout/sessions": "checkout.session",
    "/v1/payment_intents": "payment_intent",
    "/v1/charges": "charge",
    "/v1/refunds": "refund",
    "/v1/disputes": "dispute",
    "/v1/radar/early_fraud_warnings": "radar.early_fraud_warning",
}


class StripeAccount:
    """All that one API key reaches. `events` are its events, oldest first."""

    def __init__(
        self, clock_s: Callable[[], int], page_url: str = "http://127.0.0.1/pay", *, is_live: bool = False
    ) -> None:
        """`page_url` is where the pages stand on which buyers pay. All of it says which mode its key is for."""
        self._clock_s = clock_s
        self._page_url = page_url
        self._objects = Objects(clock_s, is_live=is_live)
        self.events = self._objects.events
        self._balance = Balance(self._objects)
        self.bank = Bank(self._objects, self._balance)
        self.connect = Connect(self._objects, self._balance, page_url.replace("/pay/", "/onboard/"))
        self._platform = PlatformApi(self._objects, self._balance, self.bank, self.connect)
        self._intent_metadata: dict[str, Object] = {}
        self._keys = Keys()
        self._cards: dict[str, str] = {}

    def handle(
        self, method: str, path: str, params: Mapping[str, Any], key: str | None = None, owner: str = PLATFORM
    ) -> Object:
        """Answer one request of the API, for the platform or for a connected account of it. Raise StripeRefusal."""
        if self._platform.serves(path, owner) and method == "GET":
            return copy.deepcopy(self._platform.read(path, params, owner))
        if method == "GET":
            return self._read(path, params)
        make = self._platform.make if self._platform.serves(path, owner) else self._make
        return self._keys.once(key, [path, params, owner], lambda: make(path, params, owner))

    def forget_keys(self) -> None:
        """What Stripe does after a day."""
        self._keys.forget()

    def pay(self, session_id: str, *, later: bool = False, card: str | None = None) -> Object:
        """The buyer pays; `later` by a bank that takes its time. Answers the payment intent.

        Without a `card` it is one that nobody else has.
        """
        session = self._session(session_id, "open")
        intent = self._intent(session)
        self._cards[intent["id"]] = card or session_id
        session.update(payment_intent=intent["id"], status="complete", url=None)
        if later:
            intent["status"] = "processing"
            self._objects.tell("payment_intent.processing", intent)
            self._objects.tell("checkout.session.completed", session)
            return intent
        self._charge(intent)
        session["payment_status"] = "paid"
        self._objects.tell("checkout.session.completed", session)
        return intent

    def arrive(self, session_id: str, *, fails: bool = False) -> None:
        """What a bank that took its time says in the end."""
        session = self._session(session_id, "complete")
        intent = self._objects[session["payment_intent"]]
        if fails:
            intent["status"] = "requires_payment_method"
            self._objects.tell("checkout.session.async_payment_failed", session)
            return
        self._charge(intent)
        session["payment_status"] = "paid"
        self._objects.tell("checkout.session.async_payment_succeeded", session)

    def decline(self, session_id: str, *, card: str | None = None) -> None:
        """The buyer's card is declined; the page stays open."""
        session = self._session(session_id, "open")
        intent = self._intent(session)
        session["payment_intent"] = intent["id"]
        self._cards[intent["id"]] = card or session_id
        self._objects.tell("charge.failed", self._add_charge(intent, is_paid=False))
        self._objects.tell("payment_intent.payment_failed", intent)

    def expire(self, session_id: str) -> Object:
        """Nobody paid in time."""
        session = self._session(session_id, "open")
        session.update(status="expired", url=None)
        self._objects.tell("checkout.session.expired", session)
        return session

    def fail_refund(self, refund_id: str) -> None:
        """A refund that was made comes back."""
        refund = self._objects[refund_id]
        refund["status"] = "failed"
        charge = self._objects[refund["charge"]]
        charge["amount_refunded"] -= refund["amount"]
        charge["refunded"] = False
        back = self._balance.book("refund_failure", refund, refund["amount"])
        refund["failure_balance_transaction"] = back["id"]
        self._objects.tell("refund.failed", refund)

    def dispute(self, intent_id: str, *, amount: int | None = None, status: str = "needs_response") -> Object:
        """The buyer's bank disputes a payment."""
        charge = self._objects[self._objects[intent_id]["latest_charge"]]
        charge["disputed"] = True
        dispute = self._objects.add(
            "dispute",
            "dp",
            amount=charge["amount"] if amount is None else amount,
            currency=charge["currency"],
            charge=charge["id"],
            payment_intent=intent_id,
            reason="fraudulent",
            status=status,
            metadata={},
            balance_transactions=[],
        )
        if not status.startswith("warning"):
            self._withdraw(dispute)
        self._objects.tell("charge.dispute.created", dispute)
        return dispute

    def decide(self, dispute_id: str, status: str) -> None:
        """The bank decides: won, lost, or what else there is."""
        dispute = self._objects[dispute_id]
        was_inquiry = dispute["status"].startswith("warning")
        dispute["status"] = status
        if was_inquiry and not status.startswith("warning"):
            self._withdraw(dispute)
        if status == "won":
            booked = self._balance.book("adjustment", dispute, dispute["amount"], category="dispute_reversal")
            dispute["balance_transactions"].append(copy.deepcopy(booked))
        closed = status in ("won", "lost", "warning_closed")
        self._objects.tell("charge.dispute.closed" if closed else "charge.dispute.updated", dispute)

    def warn(self, intent_id: str) -> Object:
        """The buyer's bank takes a payment for fraud."""
        warning = self._objects.add(
            "radar.early_fraud_warning",
            "issfr",
            charge=self._objects[intent_id]["latest_charge"],
            payment_intent=intent_id,
            fraud_type="made_with_stolen_card",
            actionable=True,
        )
        self._objects.tell("radar.early_fraud_warning.created", warning)
        return warning

    def tamper(self, object_id: str, **fields: Any) -> None:
        """Make an object what it should never be, for tests of who believes it."""
        self._objects[object_id].update(fields)

    def _read(self, path: str, params: Mapping[str, Any]) -> Object:
        folder, _, object_id = path.rpartition("/")
        if path in _KINDS:
            return self._objects.listed(_KINDS[path], path, params, PLATFORM, ("payment_intent", "charge"))
        if path == "/v1/events":
            return {"object": "list", "url": path, "has_more": False, "data": copy.deepcopy(self.events[::-1])}
        if folder not in _KINDS:
            raise StripeRefusal(404, "resource_missing")
        return copy.deepcopy(self._objects.find(_KINDS[folder], object_id))

    def _make(self, path: str, params: Mapping[str, Any], owner: str) -> Object:
        if path == "/v1/checkout/sessions":
            return self._make_session(params)
        if path == "/v1/refunds":
            return self._make_refund(params)
        if path.startswith("/v1/checkout/sessions/") and path.endswith("/expire"):
            return self.expire(path.split("/")[4])
        raise StripeRefusal(404, "resource_missing")

    def _make_session(self, params: Mapping[str, Any]) -> Object:
        now_s = self._clock_s()
        expires_at = int(params.get("expires_at", now_s + SESSION_LIFETIME_S_MAX))
        if not SESSION_LIFETIME_S_MIN <= expires_at - now_s <= SESSION_LIFETIME_S_MAX:
            raise StripeRefusal(400, "parameter_invalid_integer")
        if params.get("mode") != "payment" or not params.get("success_url"):
            raise StripeRefusal(400, "parameter_missing")
        items = list(params["line_items"].values())
        total = sum(int(item["quantity"]) * int(item["price_data"]["unit_amount"]) for item in items)
        session = self._objects.add(
            "checkout.session",
            "cs_test",
            mode="payment",
            status="open",
            payment_status="unpaid",
            payment_intent=None,
            client_reference_id=params.get("client_reference_id"),
            metadata=dict(params.get("metadata", {})),
            amount_total=total,
            currency=items[0]["price_data"]["currency"],
            expires_at=expires_at,
            success_url=params["success_url"],
            cancel_url=params.get("cancel_url"),
        )
        session["url"] = f"{self._page_url}/{session['id']}"
        self._intent_metadata[session["id"]] = dict(params.get("payment_intent_data", {}).get("metadata", {}))
        return session

    def _make_refund(self, params: Mapping[str, Any]) -> Object:
        intent = self._objects.get(params.get("payment_intent", ""))
        if intent is None or intent.get("latest_charge") is None:
            raise StripeRefusal(404, "resource_missing")
        charge = self._objects[intent["latest_charge"]]
        left = charge["amount"] - charge["amount_refunded"]
        amount = int(params.get("amount", left))
        if charge["disputed"] and self._is_disputed(charge["id"]):
            raise StripeRefusal(400, "charge_disputed")
        if left == 0:
            raise StripeRefusal(400, "charge_already_refunded")
        if not 0 < amount <= left:
            raise StripeRefusal(400, "amount_too_large")
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        refund = self._objects.add(
            "refund",
            "re",
            amount=amount,
            currency=charge["currency"],
            charge=charge["id"],
            payment_intent=intent["id"],
            reason=params.get("reason"),
            status="succeeded",
            metadata=dict(params.get("metadata", {})),
        )
        refund["balance_transaction"] = self._balance.book("refund", refund, -amount)["id"]
        self._objects.tell("refund.created", refund)
        self._objects.tell("charge.refunded", charge)
        return refund

    def _is_disputed(self, charge_id: str) -> bool:
        disputes = [one for one in self._objects.all("dispute") if one["charge"] == charge_id]
        return any(not one["status"].startswith("warning") for one in disputes)

    def _withdraw(self, dispute: Object) -> None:
        """What the bank takes until it has decided, and what Stripe charges for the trouble."""
        booked = self._balance.book(
            "adjustment", dispute, -dispute["amount"], fee=DISPUTE_FEE_MINOR, category="dispute"
        )
        dispute["balance_transactions"].append(copy.deepcopy(booked))

    def _intent(self, session: Object) -> Object:
        if session["payment_intent"] is not None:
            return self._objects[session["payment_intent"]]
        return self._objects.add(
            "payment_intent",
            "pi",
            amount=session["amount_total"],
            amount_received=0,
            currency=session["currency"],
            status="requires_payment_method",
            latest_charge=None,
            metadata=self._intent_metadata[session["id"]],
        )

    def _charge(self, intent: Object) -> None:
        charge = self._add_charge(intent, is_paid=True)
        booked = self._balance.book("charge", charge, charge["amount"], fee=card_fee(charge["amount"]))
        charge["balance_transaction"] = booked["id"]
        intent.update(status="succeeded", amount_received=intent["amount"], latest_charge=charge["id"])
        self._objects.tell("charge.succeeded", charge)
        self._objects.tell("payment_intent.succeeded", intent)

    def _add_charge(self, intent: Object, *, is_paid: bool) -> Object:
        return self._objects.add("charge", "ch", **charge_fields(intent, self._cards[intent["id"]], is_paid=is_paid))

    def _session(self, session_id: str, status: str) -> Object:
        session = self._objects.get(session_id)
        if session is None or session["object"] != "checkout.session":
            raise StripeRefusal(404, "resource_missing")
        if session["status"] != status:
            raise StripeRefusal(400, "checkout_session_not_" + status)
        return session
