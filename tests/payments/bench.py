"""What the matrix asks of a rail's bench: the provider made to act, and its events delivered, forged or aged."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

from shared.payments.models import Order, PaymentId, RailName, Subject
from shared.payments.rails import EventReader, Rail

Delivery = tuple[bytes, Mapping[str, str]]
Clock = Callable[[], int]


class Absent(AssertionError):
    """A bench was asked for what its provider does not do: the case belongs among those that are absent, with why."""


class Bench(Protocol):
    """One rail, with a provider in memory."""

    name: ClassVar[RailName]
    currency: ClassVar[str]
    absent: ClassVar[Mapping[str, str]]
    """Cases that have no meaning for this rail, by name, each with the reason. The table prints it."""

    def __init__(self, clock: Clock) -> None: ...

    def rail(self, through: Callable[[Any], Any]) -> Rail:
        """The rail of a process that reaches the provider as `through` lets it."""

    def reader(self) -> EventReader:
        """Proves what is delivered."""

    def pay(self, order: Order) -> PaymentId:
        """The buyer pays what the page asks for."""

    def lapse(self, order: Order) -> None:
        """Nobody pays in time."""

    def give_back(self, payment_id: PaymentId, amount_minor: int) -> str:
        """Somebody refunds in the provider's own dashboard. Answers the refund's id."""

    def fail_refund(self, refund_id: str) -> None:
        """A refund that was made comes back."""

    def dispute(self, payment_id: PaymentId, amount_minor: int | None = None) -> str:
        """The buyer's bank disputes the payment. Answers the dispute's id."""

    def decide(self, dispute_id: str, *, won: bool) -> None:
        """The bank decides."""

    def warn(self, payment_id: PaymentId) -> str:
        """The buyer's bank takes the payment for fraud. Never asked where every case of a warning is absent."""

    def tamper(self, payment_id: PaymentId, *, amount_minor: int | None = None, currency: str | None = None) -> None:
        """Let the provider show that something else was paid."""

    def claim(self, payment_id: PaymentId, order: Order) -> None:
        """Let the provider show the payment as one of another order."""

    def confuse(self, payment_id: PaymentId) -> None:
        """Let the provider show a status that nobody has heard of."""

    def subject(self, payment_id: PaymentId) -> Subject:
        """What to look at to see the payment."""

    def deliveries(self) -> list[Delivery]:
        """What happened since last asked, signed now."""

    def forged(self, delivery: Delivery) -> Delivery:
        """The same event, signed by somebody who does not know the secret."""

    def aged(self, delivery: Delivery, by_ms: int) -> Delivery:
        """The same event, signed well and long ago; below zero in the future."""
