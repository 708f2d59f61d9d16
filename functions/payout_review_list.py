"""List the payouts that wait for a person: first ones, and those tried too often. Called by operators; reads only.

`payout_review` decides on one.
"""

from shared.app import App
from shared.base.body import Body
from shared.payouts.models import PayoutId
from shared.payouts.ports import PAGE_PAYOUTS_MAX
from shared.payouts.shapes import PayoutIdText, WaitingPayoutView, waiting_view_of
from shared.web.auth import Caller
from shared.web.function import http_function


class PayoutReviewListRequest(Body, frozen=True, kw_only=True):
    """From the beginning, or behind the payout that the page before ended with."""

    after: PayoutIdText | None = None


class PayoutReviewListResponse(Body, frozen=True, kw_only=True):
    """A page of payouts. `after` asks for the next one; null at the end."""

    payouts: list[WaitingPayoutView]
    after: str | None


@http_function(
    auth="service",
    scope="payout:review",
    method="GET",
    body=PayoutReviewListRequest,
    answer=PayoutReviewListResponse,
)
async def payout_review_list(body: PayoutReviewListRequest, caller: Caller, app: App) -> PayoutReviewListResponse:
    """Raise PaymentsUnavailable (503)."""
    after = PayoutId(body.after) if body.after is not None else None
    payouts = await app.payout_reader.waiting(after=after)
    return PayoutReviewListResponse(
        payouts=[waiting_view_of(payout) for payout in payouts],
        after=payouts[-1].payout_id if len(payouts) == PAGE_PAYOUTS_MAX else None,
    )
