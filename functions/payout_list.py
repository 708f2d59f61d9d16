"""List the caller's payouts. Called by apps; reads only."""

from shared.app import App
from shared.base.body import Body
from shared.payouts.models import PayoutId
from shared.payouts.shapes import PayoutIdText, PayoutView, view_of
from shared.web.auth import Caller
from shared.web.function import http_function


class PayoutListRequest(Body, frozen=True, kw_only=True):
    """Where to go on: behind this payout."""

    after: PayoutIdText | None = None


class PayoutListResponse(Body, frozen=True, kw_only=True):
    """At most a hundred payouts in the order of their ids; the last one's id is the next page's `after`."""

    object: str = "list"
    data: list[PayoutView]


@http_function(auth="user", method="GET", body=PayoutListRequest, answer=PayoutListResponse)
async def payout_list(body: PayoutListRequest, caller: Caller, app: App) -> PayoutListResponse:
    """Those that were refused or came back too."""
    after = PayoutId(body.after) if body.after is not None else None
    payouts = await app.payout_reader.owned_by(caller.known_user().uid, after=after)
    return PayoutListResponse(data=[view_of(payout) for payout in payouts])
