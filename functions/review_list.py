"""Show what of payments waits for a person. Called by operators; reads only."""

from shared.app import App
from shared.base.body import Body
from shared.payments.review_shapes import ReviewIdText, ReviewView, review_view
from shared.payments.reviews import PAGE_REVIEWS_MAX
from shared.web.auth import Caller
from shared.web.function import http_function


class ReviewListRequest(Body, frozen=True, kw_only=True):
    """From the beginning, or after the last review of the page before."""

    after: ReviewIdText | None = None


class ReviewListResponse(Body, frozen=True, kw_only=True):
    """A page of open reviews. `after` asks for the next one; null at the end."""

    reviews: list[ReviewView]
    after: str | None


@http_function(auth="service", scope="payment:review", method="GET", body=ReviewListRequest, answer=ReviewListResponse)
async def review_list(body: ReviewListRequest, caller: Caller, app: App) -> ReviewListResponse:
    """Raise PaymentsUnavailable (503)."""
    found = await app.review_store.open(body.after)
    return ReviewListResponse(
        reviews=[review_view(kept) for kept in found],
        after=found[-1].review_id if len(found) == PAGE_REVIEWS_MAX else None,
    )
