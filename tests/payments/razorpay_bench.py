"""Razorpay as the tests drive it: an account in memory, and deliveries that are signed, or forged."""

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from local.razorpay.account import RazorpayAccount
from local.razorpay.refusal import RazorpayRefusal
from local.razorpay.wire import sign
from shared.base.secret import Secret
from shared.payments.errors import RailRefused
from shared.payments.models import Order, PaymentId, RailName, Subject
from shared.payments.rails import EventReader, Rail
from shared.payments.razorpay.events import RazorpayEvents
from shared.payments.razorpay.rail import RazorpayRail
from shared.payments.razorpay.shown import ORDER_KEY
from tests.payments.bench import Absent, Clock, Delivery

SECRET = "razorpay_test"
KEY_ID = "rzp_test_bench"
NO_TIME = "what Razorpay signs does not say when it was sent; an old event leads to a look, see replayed"
NO_WARNING = "Razorpay tells of a bank's doubts as a dispute, see dispute_open"


class AccountApi:
    """The rail's way to an account, through JSON as it goes over the wire."""

    def __init__(self, account: RazorpayAccount) -> None:
        self._account = account

    async def get(self, path: str, params: Mapping[str, int]) -> dict[str, Any]:
        return self._answer("GET", path, params, None)

    async def post(self, path: str, body: Mapping[str, Any], *, key: str | None = None) -> dict[str, Any]:
        return self._answer("POST", path, json.loads(json.dumps(body)), key)

    def _answer(self, method: str, path: str, asked: Mapping[str, Any], key: str | None) -> dict[str, Any]:
        try:
            return self._account.handle(method, path, asked, key)
        except RazorpayRefusal as refusal:
            raise RailRefused("Razorpay", str(refusal.body["error"]["code"])) from None


class RazorpayBench:
    """What every rail's bench can do, for Razorpay."""

    name = RailName.RAZORPAY
    currency = "INR"
    absent: ClassVar[Mapping[str, str]] = {
        "stale": NO_TIME,
        "future": NO_TIME,
        "warned": NO_WARNING,
        "warned_then_refunded": NO_WARNING,
        "warned_then_refund_failed": NO_WARNING,
        "warned_then_refunded_at_last": NO_WARNING,
        "warned_then_dispute_won": NO_WARNING,
        "warned_then_dispute_lost": NO_WARNING,
        "crash_warning": NO_WARNING,
    }

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.account = RazorpayAccount(lambda: clock() // 1000)
        self.api = AccountApi(self.account)
        self._told = 0

    def rail(self, through: Callable[[Any], Any]) -> Rail:
        return RazorpayRail(through(self.api), KEY_ID, self._clock)

    def reader(self) -> EventReader:
        return RazorpayEvents(Secret(SECRET))

    def pay(self, order: Order) -> PaymentId:
        assert order.checkout is not None
        return PaymentId(self.account.pay(order.checkout.reference)["id"])

    def lapse(self, order: Order) -> None:
        """Razorpay's orders end when ours do, and nobody tells of it."""
        self._clock.now_ms = order.expires_at_ms + 120_000  # type: ignore[attr-defined]

    def give_back(self, payment_id: PaymentId, amount_minor: int) -> str:
        return str(self.account.handle("POST", f"/v1/payments/{payment_id}/refund", {"amount": amount_minor})["id"])

    def fail_refund(self, refund_id: str) -> None:
        self.account.fail_refund(refund_id)

    def dispute(self, payment_id: PaymentId, amount_minor: int | None = None) -> str:
        return str(self.account.dispute(payment_id, amount=amount_minor)["id"])

    def decide(self, dispute_id: str, *, won: bool) -> None:
        self.account.decide(dispute_id, "won" if won else "lost")

    def warn(self, payment_id: PaymentId) -> str:
        raise Absent(NO_WARNING)

    def tamper(self, payment_id: PaymentId, *, amount_minor: int | None = None, currency: str | None = None) -> None:
        if amount_minor is not None:
            self.account.tamper(payment_id, amount=amount_minor)
        if currency is not None:
            self.account.tamper(payment_id, currency=currency)

    def claim(self, payment_id: PaymentId, order: Order) -> None:
        """The order at Razorpay names another of ours."""
        payment = self.account.handle("GET", f"/v1/payments/{payment_id}", {})
        self.account.tamper(payment["order_id"], notes={ORDER_KEY: order.order_id})

    def confuse(self, payment_id: PaymentId) -> None:
        self.account.tamper(payment_id, status="in_limbo")

    def subject(self, payment_id: PaymentId) -> Subject:
        return Subject("payment", payment_id)

    def deliveries(self) -> list[Delivery]:
        events = self.account.events[self._told :]
        self._told = len(self.account.events)
        return [self.signed(event) for event in events]

    def signed(self, event: Mapping[str, Any], *, secret: str = SECRET) -> Delivery:
        raw = json.dumps(event).encode()
        return raw, {"x-razorpay-signature": sign(raw, secret)}

    def forged(self, delivery: Delivery) -> Delivery:
        return self.signed(json.loads(delivery[0]), secret="whsec_guess")

    def aged(self, delivery: Delivery, by_ms: int) -> Delivery:
        raise Absent(NO_TIME)
