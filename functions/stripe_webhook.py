"""Take an event of Stripe's. Called by Stripe, again for three days until it is answered; a repeat is one task.

Nothing in it is believed but its id and which object to look at, which `payment_apply` does.
"""

from shared.app import App
from shared.base.body import Empty, Raw
from shared.payments.models import RailName
from shared.web.auth import Caller
from shared.web.function import http_function

EVENT_BYTES_MAX = 512 * 1024
"""Stripe's events are a few kilobytes; those of large invoices have been seen with a hundred."""


@http_function(auth="none", body=Raw, body_bytes_max=EVENT_BYTES_MAX, answer=Empty)
async def stripe_webhook(body: Raw, caller: Caller, app: App) -> Empty:
    """Raise EventRefused (400), RailNotOffered (404) where no secret is set, PaymentsUnavailable (503)."""
    await app.inbox(RailName.STRIPE).receive(body.content, body.headers)
    return Empty()
