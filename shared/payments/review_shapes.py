"""What functions about reviews take and answer."""

from typing import Annotated

from msgspec import Meta

from shared.base.body import LAST, Body
from shared.payments.reviews import KeptReview

ReviewIdText = Annotated[str, Meta(pattern=rf"^[0-9a-f]{{64}}{LAST}")]


class DecisionView(Body, frozen=True, kw_only=True):
    """What a person decided."""

    verdict: str
    by: str
    reason: str
    at_ms: int


class ReviewView(Body, frozen=True, kw_only=True):
    """What waits for a person, or what one decided."""

    review_id: str
    rail: str
    reason: str
    subject: str
    order_id: str | None
    expected: str
    found: str
    found_at_ms: int
    decision: DecisionView | None


def review_view(kept: KeptReview) -> ReviewView:
    """The review as it is shown."""
    review, decision = kept.review, kept.decision
    shown = None
    if decision is not None:
        shown = DecisionView(verdict=decision.verdict.value, by=decision.by, reason=decision.why, at_ms=decision.at_ms)
    return ReviewView(
        review_id=kept.review_id,
        rail=review.rail.value,
        reason=review.reason,
        subject=review.subject,
        order_id=review.order_id,
        expected=review.expected,
        found=review.found,
        found_at_ms=kept.found_at_ms,
        decision=shown,
    )
