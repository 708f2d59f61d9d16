"""What an event about recipients leads to: a look at the recipient, or at the payout whose money it is about."""

from typing import Protocol

from shared.base.log import write_line
from shared.payments.errors import RailRefused
from shared.payouts.events import ACCOUNT
from shared.payouts.models import ConnectEvent, PayoutId
from shared.payouts.ports import PayoutStore
from shared.payouts.recipients import Recipients
from shared.payouts.sending import Sending


class Belongings(Protocol):
    """The provider. Raise RailUnavailable or RailRefused."""

    async def payout_of(self, event: ConnectEvent) -> PayoutId | None:
        """Which payout its object says it was made for. None: for none of ours."""


class ConnectApplier:
    """Looks at what events name. May be repeated; nothing that an event claims is believed."""

    def __init__(self, belongings: Belongings, recipients: Recipients, sending: Sending, store: PayoutStore) -> None:
        self._belongings = belongings
        self._recipients = recipients
        self._sending = sending
        self._store = store

    async def apply(self, event: ConnectEvent) -> None:
        """Raise RailUnavailable, PaymentsUnavailable, LedgerUnavailable or PayoutBusy, and a repeat goes on."""
        if event.object_kind == ACCOUNT:
            await self._recipients.look_at(event.object_id)
            return
        try:
            payout_id = await self._belongings.payout_of(event)
        except RailRefused as refusal:
            write_line("WARNING", "connect_object_unknown", event=event.event_id, code=refusal.provider_code)
            return
        payout = await self._store.find(payout_id) if payout_id is not None else None
        if payout is None:
            return
        if event.account not in (None, payout.destination):
            # A recipient with a dashboard can write metadata, and so name a payout that is somebody else's.
            write_line("WARNING", "connect_object_foreign", event=event.event_id, payout=payout.payout_id)
            return
        await self._sending.advance(payout.payout_id)
