"""Take an event of Razorpay's. Called by Razorpay, again for a day until it is answered; a repeat is kept once.

Nothing in it is believed but which object to look at, which `payment_apply` does.
"""

from shared.app import App
from shared.base.body import Empty, Raw
from shared.payments.models import RailName
from shared.web.auth import Caller
from shared.web.function import http_function

EVENT_BYTES_MAX = 512 * 1024
"""Razorpay's events hold a payment, its order and at most a refund: a few kilobytes."""


@http_function(auth="none", body=Raw, body_bytes_max=EVENT_BYTES_MAX, answer=Empty)
async def razorpay_webhook(body: Raw, caller: Caller, app: App) -> Empty:
    """Raise EventRefused (400), RailNotOffered (404) where no secret is set, TasksUnavailable (503)."""
    await app.inbox(RailName.RAZORPAY).receive(body.content, body.headers)
    return Empty()
