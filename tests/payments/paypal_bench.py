"""PayPal as the tests drive it: an account in memory, and deliveries that are signed, or forged."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, ClassVar

from local.paypal.account import MERCHANT_ID, PayPalAccount
from local.paypal.authority import Signatory, new_transmission_id
from local.paypal.refusal import PayPalRefusal
from shared.payments.errors import RailRefused
from shared.payments.models import Money, Order, PaymentId, RailName, Subject
from shared.payments.paypal.amounts import DIGITS, value_of
from shared.payments.paypal.certificates import SANDBOX, SigningCertificates, Source
from shared.payments.paypal.events import AGE_MS_MAX, PayPalEvents
from shared.payments.paypal.rail import PayPalRail
from shared.payments.rails import EventReader, Rail
from tests.ledger.builders import NOW
from tests.payments.bench import Absent, Delivery

TOLERANCE_MS = 300_000
"""What a case takes for too long ago begins behind it."""
WEBHOOK_ID = "8PT597110X687430L"
_NO_WARNINGS = "PayPal has no fraud warnings; it reverses the capture, or opens a dispute"


@cache
def signatory() -> Signatory:
    """PayPal's, for all tests of this process: making an RSA key takes a tenth of a second."""
    return Signatory.new(datetime.fromtimestamp(NOW / 1000, UTC))


@cache
def thief() -> Signatory:
    """Somebody with a key and a root of their own."""
    return Signatory.new(datetime.fromtimestamp(NOW / 1000, UTC))


class AccountApi:
    """The rail's way to an account, through JSON as it goes over the wire."""

    def __init__(self, account: PayPalAccount) -> None:
        self._account = account

    async def get(self, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        return self._answer("GET", path, params, None)

    async def post(self, path: str, body: Mapping[str, Any], *, key: str) -> dict[str, Any]:
        return self._answer("POST", path, json.loads(json.dumps(body)), key)

    def _answer(self, method: str, path: str, asked: Mapping[str, Any], key: str | None) -> dict[str, Any]:
        try:
            return self._account.handle(method, path, asked, key)
        except PayPalRefusal as refusal:
            raise RailRefused("PayPal", str(refusal)) from None


class PayPalBench:
    """What every rail's bench can do, for PayPal.

    A buyer approves, and the money moves when we capture. So `pay` says under which id it will, and whatever is done to
    the payment before we have captured it begins with its capture by another process of ours.
    """

    name: ClassVar = RailName.PAYPAL
    currency: ClassVar = "USD"
    absent: ClassVar[Mapping[str, str]] = {
        "warned": _NO_WARNINGS,
        "warned_then_refunded": _NO_WARNINGS,
        "warned_then_refund_failed": _NO_WARNINGS,
        "warned_then_refunded_at_last": _NO_WARNINGS,
        "warned_then_dispute_won": _NO_WARNINGS,
        "warned_then_dispute_lost": _NO_WARNINGS,
        "crash_warning": _NO_WARNINGS,
    }

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self.account = PayPalAccount(lambda: clock() // 1000)
        self.api = AccountApi(self.account)
        self._told = 0
        self._certificates = self.certificates()
        self._approved: dict[PaymentId, str] = {}

    def rail(self, through: Callable[[Any], Any]) -> Rail:
        """The rail of a process that reaches the provider as `through` lets it."""
        return PayPalRail(through(self.api), MERCHANT_ID, "https://app.example/wallet", self._clock)

    def reader(self) -> EventReader:
        return PayPalEvents(WEBHOOK_ID, self._certificates)

    def certificates(self, published: Signatory | None = None) -> SigningCertificates:
        """As they are found by a process that has seen none."""
        found = published or signatory()

        async def chain(_: str) -> bytes:
            return found.pem

        async def roots() -> list[Any]:
            return [signatory().chain[-1]]

        return SigningCertificates(Source(chain, roots), SANDBOX, self._clock)

    def pay(self, order: Order) -> PaymentId:
        """The buyer approves what the page asks for."""
        assert order.checkout is not None
        self.account.approve(order.checkout.reference)
        payment_id = PaymentId(self.account.capture_id_of(order.checkout.reference))
        self._approved[payment_id] = order.checkout.reference
        return payment_id

    def lapse(self, order: Order) -> None:
        """Nobody pays in time. PayPal says nothing of it."""
        self._clock.now_ms = order.expires_at_ms + 120_000  # type: ignore[attr-defined]

    def give_back(self, payment_id: PaymentId, amount_minor: int) -> str:
        """Somebody refunds in the provider's own dashboard."""
        self._capture(payment_id)
        return str(self.account.give_back(payment_id, value_of(Money(amount_minor, self.currency)))["id"])

    def fail_refund(self, refund_id: str) -> None:
        self.account.fail_refund(refund_id)

    def dispute(self, payment_id: PaymentId, amount_minor: int | None = None) -> str:
        self._capture(payment_id)
        value = None if amount_minor is None else value_of(Money(amount_minor, self.currency))
        return str(self.account.dispute(payment_id, value=value)["dispute_id"])

    def decide(self, dispute_id: str, *, won: bool) -> None:
        self.account.decide(dispute_id, "RESOLVED_SELLER_FAVOUR" if won else "RESOLVED_BUYER_FAVOUR")

    def warn(self, payment_id: PaymentId) -> str:
        raise Absent(_NO_WARNINGS)

    def tamper(self, payment_id: PaymentId, *, amount_minor: int | None = None, currency: str | None = None) -> None:
        """Let the provider show that something else was paid."""
        self._capture(payment_id)
        amount = {"currency_code": self.currency, "value": "4.99"}
        if amount_minor is not None:
            amount["value"] = value_of(Money(amount_minor, self.currency))
        if currency is not None:
            amount = {"currency_code": currency, "value": "499" if DIGITS[currency] == 0 else "4.99"}
        self.account.tamper(payment_id, amount=amount)

    def claim(self, payment_id: PaymentId, order: Order) -> None:
        """Let the provider show the payment as one of another order."""
        self._capture(payment_id)
        self.account.tamper(payment_id, custom_id=order.order_id)

    def subject(self, payment_id: PaymentId) -> Subject:
        """What to look at to see the payment."""
        self._capture(payment_id)
        return Subject("capture", payment_id)

    def confuse(self, payment_id: PaymentId) -> None:
        """Let the provider show a status that nobody has heard of."""
        self._capture(payment_id)
        self.account.tamper(payment_id, status="IN_LIMBO")

    def deliveries(self) -> list[Delivery]:
        """What happened since last asked, signed now."""
        events = self.account.events[self._told :]
        self._told = len(self.account.events)
        return [self.signed(event) for event in events]

    def signed(
        self,
        event: Mapping[str, Any],
        *,
        by: Signatory | None = None,
        ahead_ms: int = 0,
        transmission_id: str | None = None,
    ) -> Delivery:
        raw = json.dumps(event).encode()
        at_s = (self._clock() + ahead_ms) // 1000
        signer = by or signatory()
        return raw, signer.sign(raw, WEBHOOK_ID, at_s, transmission_id=transmission_id or new_transmission_id())

    def forged(self, delivery: Delivery) -> Delivery:
        """The same event, signed by somebody who does not have PayPal's key."""
        return self.signed(json.loads(delivery[0]), by=thief())

    def aged(self, delivery: Delivery, by_ms: int) -> Delivery:
        """The same event, signed well and long ago; below zero in the future.

        PayPal's retries of three days may bear their first time, so its events are stale that much later than others.
        """
        return self.signed(json.loads(delivery[0]), ahead_ms=-by_ms - (AGE_MS_MAX - TOLERANCE_MS if by_ms > 0 else 0))

    def _capture(self, payment_id: PaymentId) -> None:
        if (order_id := self._approved.pop(payment_id, None)) is not None and not self.account.is_captured(order_id):
            self.account.capture(order_id)
