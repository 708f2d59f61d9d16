"""What a way to pay must be able to do. A new rail is one class of each of these two, and a name in `RailName`."""

from collections.abc import Mapping
from typing import Protocol

from shared.payments.models import Checkout, Event, Money, Order, PaymentId, RailName, Seen, Subject


class EventReader(Protocol):
    """The receiving half, which answers a provider at once and never calls anybody on behalf of an event."""

    name: RailName

    async def prepare(self, headers: Mapping[str, str], *, now_ms: int) -> None:
        """Get what `read` needs to prove an event with such headers, where that is published and not a secret of ours.

        Raise EventRefused; or RailUnavailable when it cannot be had now, and the provider sends the event again.
        """

    def read(self, raw: bytes, headers: Mapping[str, str], *, now_ms: int) -> Event:
        """The event, once it is proved to come from the provider. Raise EventRefused. Header names are lower case."""


class Rail(Protocol):
    """The asking half. Every verb may be repeated, and raises RailUnavailable when nothing is known of the outcome."""

    name: RailName

    async def begin(self, order: Order) -> Checkout:
        """Have the provider take exactly the order's money; one checkout for one order. Raise RailRefused."""

    async def look(self, subject: Subject) -> Seen | None:
        """What the provider shows now of the payment that the object belongs to. None when it is no payment of ours."""

    def subject_of(self, order: Order) -> Subject | None:
        """What to look at to learn how an order stands; None while the provider cannot know it."""

    async def refund(self, payment_id: PaymentId, money: Money, *, key: str) -> None:
        """Give money back, once per key. Raise RailRefused; then none was given."""
