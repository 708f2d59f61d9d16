"""Buyers who come back from a checkout and say that they have paid, before the rail's event tells us.

What they show is only where to look, as an event is: what is granted is what the rail then shows.
"""

from typing import Protocol

from shared.base.ids import UserId
from shared.payments.applier import Applier
from shared.payments.models import Order, OrderId, Subject
from shared.payments.reader import owned
from shared.payments.store import PaymentStore


class ConfirmationReader(Protocol):
    """Proves what a rail handed to the buyer's browser."""

    def subject(self, order: Order, payment_id: str, signature: str) -> Subject:
        """What to look at. Raise ConfirmationRefused unless the rail signed it for this very order."""


class Confirmations:
    """Takes confirmations of one rail. A repeat looks again, which changes nothing more."""

    def __init__(self, store: PaymentStore, reader: ConfirmationReader, applier: Applier) -> None:
        self._store = store
        self._reader = reader
        self._applier = applier

    async def confirm(self, owner: UserId, order_id: OrderId, payment_id: str, signature: str) -> Order:
        """The order as it stands once its payment was looked at, which may still be under way.

        Raise OrderAbsent, for somebody else's order as for none; ConfirmationRefused; RailUnavailable,
        PaymentsUnavailable, OrderBusy or LedgerUnavailable, after which the rail's event does it.
        """
        order = (await owned(self._store, owner, order_id)).order
        subject = self._reader.subject(order, payment_id, signature)
        await self._applier.look(order.rail, subject)
        return (await owned(self._store, owner, order_id)).order
