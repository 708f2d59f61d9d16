"""Take back a payout of which nothing was sent yet. Called by apps; a repeat gives nothing more back.

The credits come back a moment later, by a task.
"""

from shared.app import App
from shared.base.body import Body
from shared.payouts.models import PayoutId
from shared.payouts.shapes import PayoutIdText, PayoutView, view_of
from shared.web.auth import Caller
from shared.web.function import http_function


class PayoutCancelRequest(Body, frozen=True, kw_only=True):
    """Which payout."""

    payout_id: PayoutIdText


class PayoutCancelResponse(Body, frozen=True, kw_only=True):
    """The payout, which waits for nothing but to be refused."""

    payout: PayoutView


@http_function(
    auth="user",
    body=PayoutCancelRequest,
    path_param="payout_id",
    path_suffix="/cancel",
    answer=PayoutCancelResponse,
)
async def payout_cancel(body: PayoutCancelRequest, caller: Caller, app: App) -> PayoutCancelResponse:
    """Raise PayoutAbsent (404), for somebody else's as for none, PayoutRefused (409) or PayoutBusy (429)."""
    payout = await app.payout_decisions.cancel(caller.known_user().uid, PayoutId(body.payout_id))
    return PayoutCancelResponse(payout=view_of(payout))
