"""Stripe's events about recipients and what is sent to them: proved on the raw bytes, left to a task at once.

They come to an address of their own, signed with secrets of their own. Events of the second API only name an object;
those of the first are read as if they did.
"""

import re
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from shared.base.clock import Clock
from shared.base.log import write_line
from shared.base.payment_mode import PaymentMode
from shared.base.secret import Secret
from shared.base.signing_secrets import parse_signing_secrets
from shared.payments.errors import EventRefused
from shared.payments.stripe.events import check_signature
from shared.payouts.models import PAYOUT_APPLY, ConnectEvent
from shared.tasks.service import Tasks

SETTING = "STRIPE_CONNECT_WEBHOOK_SECRET"
ACCOUNT, TRANSFER, BANK_PAYOUT = "v2.core.account", "transfer", "payout"
_ID = re.compile(r"[A-Za-z0-9_]{1,255}")
_KIND = re.compile(r"[a-z0-9_.\[\]]{1,100}")


class _Object(Struct, frozen=True):
    object: str = ""
    id: str = ""


class _Holder(Struct, frozen=True):
    object: _Object = _Object()


class _Related(Struct, frozen=True):
    type: str = ""
    id: str = ""


class _Envelope(Struct, frozen=True):
    id: str
    type: str
    account: str | None = None
    data: _Holder = _Holder()
    related_object: _Related | None = None
    livemode: bool | None = None


class ConnectEvents:
    """Reads those of one mode with one secret, or two while one replaces the other."""

    def __init__(self, secrets: Secret, mode: PaymentMode) -> None:
        """`secrets` has a comma between two. Raise ValueError when it has none, an empty one, or more."""
        self._mode = mode
        self._secrets = parse_signing_secrets(secrets, SETTING)

    def read(self, raw: bytes, headers: Mapping[str, str], *, now_ms: int) -> ConnectEvent | None:
        """The event, once it is proved to come from Stripe; None when it is nothing to us. Raise EventRefused."""
        check_signature(raw, headers, self._secrets, now_ms=now_ms)
        try:
            envelope = msgspec.json.decode(raw, type=_Envelope)
        except (msgspec.DecodeError, RecursionError):
            raise EventRefused("it is no event") from None
        if not _ID.fullmatch(envelope.id) or not _KIND.fullmatch(envelope.type):
            raise EventRefused("it has no name")
        if envelope.livemode is not self._mode.is_live:
            # Not refused: Stripe sends what connected accounts do in test mode to live addresses too, and would stop
            # sending where that fails. https://docs.stripe.com/connect/webhooks
            write_line("WARNING", "connect_event_of_other_mode", event=envelope.id, kind=envelope.type)
            return None
        related, about = envelope.related_object, envelope.data.object
        kind, object_id = (related.type, related.id) if related else (about.object, about.id)
        account = envelope.account
        if not _ID.fullmatch(object_id) or (account is not None and not _ID.fullmatch(account)):
            return None
        # A bank payout without an account is one of our own, which reconciliation looks at.
        if kind not in (ACCOUNT, TRANSFER) and (kind != BANK_PAYOUT or account is None):
            return None
        return ConnectEvent(
            event_id=envelope.id, kind=envelope.type, object_kind=kind, object_id=object_id, account=account
        )


class ConnectInbox:
    """Receives them."""

    def __init__(self, reader: ConnectEvents, tasks: Tasks, clock: Clock) -> None:
        self._reader = reader
        self._tasks = tasks
        self._clock = clock

    async def receive(self, raw: bytes, headers: Mapping[str, str]) -> None:
        """Have an event looked at. Raise EventRefused, or TasksUnavailable and Stripe sends it again."""
        event = self._reader.read(raw, headers, now_ms=self._clock())
        if event is not None:
            await self._tasks.post(PAYOUT_APPLY, event, name_key=f"connect:{event.event_id}")
            write_line("INFO", "connect_event", event=event.event_id, kind=event.kind)
