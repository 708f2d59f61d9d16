"""Tell how one of the caller's payouts stands. Called by apps; reads only."""

from shared.app import App
from shared.base.body import Body
from shared.payouts.models import PayoutId
from shared.payouts.shapes import PayoutIdText, PayoutView, view_of
from shared.web.auth import Caller
from shared.web.function import http_function


class PayoutGetRequest(Body, frozen=True, kw_only=True):
    """Which payout."""

    payout_id: PayoutIdText


class PayoutGetResponse(Body, frozen=True, kw_only=True):
    """The payout as it stands."""

    payout: PayoutView


@http_function(auth="user", method="GET", body=PayoutGetRequest, path_param="payout_id", answer=PayoutGetResponse)
async def payout_get(body: PayoutGetRequest, caller: Caller, app: App) -> PayoutGetResponse:
    """Raise PayoutAbsent (404), for somebody else's as for none."""
    payout = await app.payout_reader.get(caller.known_user().uid, PayoutId(body.payout_id))
    return PayoutGetResponse(payout=view_of(payout))
