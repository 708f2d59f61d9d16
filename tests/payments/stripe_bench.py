"""Stripe as the tests drive it: an account in memory, and deliveries that are signed, or forged."""

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from local.stripe.account import StripeAccount
from local.stripe.objects import PLATFORM
from local.stripe.refusal import StripeRefusal
from local.stripe.wire import parse_form, sign
from shared.base.payment_mode import PaymentMode
from shared.base.secret import Secret
from shared.payments.errors import RailRefused
from shared.payments.models import Order, PaymentId, RailName, Subject
from shared.payments.rails import EventReader, Rail
from shared.payments.stripe.events import StripeEvents
from shared.payments.stripe.gateway import SECOND_API, form_of
from shared.payments.stripe.rail import ORDER_KEY, StripeRail
from tests.payments.bench import Delivery

SECRET = "whsec_test"


class AccountApi:
    """The rail's way to an account, through the forms that go over the wire."""

    def __init__(self, account: StripeAccount) -> None:
        self._account = account

    async def get(self, path: str, params: Mapping[str, Any], *, account: str | None = None) -> dict[str, Any]:
        return self._answer("GET", path, params, None, account)

    async def post(
        self, path: str, params: Mapping[str, Any], *, key: str, account: str | None = None
    ) -> dict[str, Any]:
        return self._answer("POST", path, params, key, account)

    def _answer(
        self, method: str, path: str, params: Mapping[str, Any], key: str | None, account: str | None
    ) -> dict[str, Any]:
        # The second API takes JSON, as it is.
        is_form = method == "GET" or not path.startswith(SECOND_API)
        sent = parse_form(form_of(params)) if is_form else params
        try:
            return self._account.handle(method, path, sent, key, account or PLATFORM)
        except StripeRefusal as refusal:
            raise RailRefused("Stripe", refusal.body["error"]["code"]) from None


class StripeBench:
    """What every rail's bench can do, for Stripe."""

    name = RailName.STRIPE
    currency = "USD"
    absent: ClassVar[Mapping[str, str]] = {}

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self.account = StripeAccount(lambda: clock() // 1000)
        self.api = AccountApi(self.account)
        self._told = 0

    def rail(self, through: Callable[[Any], Any]) -> Rail:
        """The rail of a process that reaches the provider as `through` lets it."""
        return StripeRail(through(self.api), "https://app.example/wallet", PaymentMode.TEST)

    def reader(self) -> EventReader:
        return StripeEvents(Secret(SECRET), PaymentMode.TEST)

    def pay(self, order: Order) -> PaymentId:
        """The buyer pays what the page asks for."""
        assert order.checkout is not None
        return PaymentId(self.account.pay(order.checkout.reference)["id"])

    def lapse(self, order: Order) -> None:
        """Nobody pays in time."""
        assert order.checkout is not None
        self.account.expire(order.checkout.reference)

    def give_back(self, payment_id: PaymentId, amount_minor: int) -> str:
        """Somebody refunds in the provider's own dashboard."""
        params = {"payment_intent": payment_id, "amount": str(amount_minor)}
        return str(self.account.handle("POST", "/v1/refunds", params)["id"])

    def fail_refund(self, refund_id: str) -> None:
        self.account.fail_refund(refund_id)

    def dispute(self, payment_id: PaymentId, amount_minor: int | None = None) -> str:
        return str(self.account.dispute(payment_id, amount=amount_minor)["id"])

    def decide(self, dispute_id: str, *, won: bool) -> None:
        self.account.decide(dispute_id, "won" if won else "lost")

    def warn(self, payment_id: PaymentId) -> str:
        return str(self.account.warn(payment_id)["id"])

    def tamper(self, payment_id: PaymentId, *, amount_minor: int | None = None, currency: str | None = None) -> None:
        """Let the provider show that something else was paid."""
        if amount_minor is not None:
            self.account.tamper(payment_id, amount_received=amount_minor)
        if currency is not None:
            self.account.tamper(payment_id, currency=currency.lower())

    def claim(self, payment_id: PaymentId, order: Order) -> None:
        """Let the provider show the payment as one of another order."""
        self.account.tamper(payment_id, metadata={ORDER_KEY: order.order_id})

    def subject(self, payment_id: PaymentId) -> Subject:
        """What to look at to see the payment."""
        return Subject("payment_intent", payment_id)

    def confuse(self, payment_id: PaymentId) -> None:
        """Let the provider show a status that nobody has heard of."""
        self.account.tamper(payment_id, status="in_limbo")

    def deliveries(self) -> list[Delivery]:
        """What happened since last asked, signed now."""
        events = self.account.events[self._told :]
        self._told = len(self.account.events)
        return [self.signed(event) for event in events]

    def signed(self, event: Mapping[str, Any], *, secret: str = SECRET, ahead_ms: int = 0) -> Delivery:
        raw = json.dumps(event).encode()
        return raw, {"stripe-signature": sign(raw, secret, (self._clock() + ahead_ms) // 1000)}

    def forged(self, delivery: Delivery) -> Delivery:
        """The same event, signed by somebody who does not know the secret."""
        return self.signed(json.loads(delivery[0]), secret="whsec_guess")

    def aged(self, delivery: Delivery, by_ms: int) -> Delivery:
        """The same event, signed well and long ago; below zero in the future."""
        return self.signed(json.loads(delivery[0]), ahead_ms=-by_ms)
