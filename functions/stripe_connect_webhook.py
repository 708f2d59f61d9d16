"""Take an event of Stripe's about those whom we pay. Called by Stripe, again for three days until it is answered.

A repeat is one task. Nothing in it is believed but its id and which object to look at, which `payout_apply` does.
"""

from shared.app import App
from shared.base.body import Empty, Raw
from shared.web.auth import Caller
from shared.web.function import http_function

EVENT_BYTES_MAX = 128 * 1024
"""Transfers and payouts are a few kilobytes, and events of the second API less than one."""


@http_function(auth="none", body=Raw, body_bytes_max=EVENT_BYTES_MAX, answer=Empty)
async def stripe_connect_webhook(body: Raw, caller: Caller, app: App) -> Empty:
    """Raise EventRefused (400), PayoutsNotOffered (404) where no secret is set, TasksUnavailable (503)."""
    await app.connect_inbox.receive(body.content, body.headers)
    return Empty()
