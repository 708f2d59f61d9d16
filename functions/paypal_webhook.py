"""Take an event of PayPal's. Called by PayPal, again for three days until it is answered; a repeat is one task.

Nothing in it is believed but which object to look at, which `payment_apply` does. This function holds no secret.
"""

from shared.app import App
from shared.base.body import Empty, Raw
from shared.payments.models import RailName
from shared.web.auth import Caller
from shared.web.function import http_function

EVENT_BYTES_MAX = 512 * 1024
"""PayPal's events are a few kilobytes, most of it the order with its links."""


@http_function(auth="none", body=Raw, body_bytes_max=EVENT_BYTES_MAX, answer=Empty)
async def paypal_webhook(body: Raw, caller: Caller, app: App) -> Empty:
    """Raise EventRefused (400), RailNotOffered (404) where no webhook id is set, RailUnavailable (503) when PayPal's
    certificate cannot be had, TasksUnavailable (503).
    """
    await app.inbox(RailName.PAYPAL).receive(body.content, body.headers)
    return Empty()
