"""Decide what becomes of a payment that waits for a person. Called by operators; a repeat answers the same.

Who decided, when and why stays on the record. `look_again` brings the order up to what its provider shows now. Of a
purchase whose credits were put aside, `dismissed` releases it as `order_release` does, and nothing else closes it.
"""

from shared.app import App
from shared.base.body import Body, ShortText
from shared.payments.review_shapes import ReviewIdText, ReviewView, review_view
from shared.payments.reviews import Verdict
from shared.web.auth import Caller
from shared.web.function import http_function


class ReviewResolveRequest(Body, frozen=True, kw_only=True):
    """What is decided about which review, and why."""

    review_id: ReviewIdText
    verdict: Verdict
    reason: ShortText


class ReviewResolveResponse(Body, frozen=True, kw_only=True):
    """The review with its decision."""

    review: ReviewView


@http_function(
    auth="service",
    scope="payment:review",
    body=ReviewResolveRequest,
    path_param="review_id",
    answer=ReviewResolveResponse,
)
async def review_resolve(body: ReviewResolveRequest, caller: Caller, app: App) -> ReviewResolveResponse:
    """Raise ReviewAbsent (404), ReviewResolved or OrderHeld (409), OrderBusy (429), or what is unavailable (503)."""
    kept = await app.reviews.resolve(body.review_id, body.verdict, by=caller.name, why=body.reason)
    return ReviewResolveResponse(review=review_view(kept))
