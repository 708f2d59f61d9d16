"""What waits for a person, and what persons decided: `payment_reviews/{review}`, the decision beside the doubt.

To dismiss the doubt that put an order's credits aside is to release that order, as `order_release` does.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from shared.base.clock import Clock
from shared.base.log import write_line
from shared.payments.checks import post_check
from shared.payments.errors import OrderHeld, ReviewAbsent, ReviewResolved
from shared.payments.models import (
    PAYMENT_APPLY,
    Event,
    Order,
    OrderId,
    PaymentApply,
    Review,
    Subject,
)
from shared.payments.sweep import NEVER_APPLIED
from shared.tasks.service import Tasks

PAGE_REVIEWS_MAX = 100
ABOUT_OBJECTS = frozenset({"rail_not_offered", "object_unknown", NEVER_APPLIED})
"""Reasons whose review names one of the rail's objects, as `expected` and `subject`, and no order."""


class Verdict(StrEnum):
    """What a person may decide."""

    DISMISSED = "dismissed"
    """The doubt is unfounded, and nothing is to be done. Credits that were put aside for it are the buyer's."""
    DONE = "done"
    """It was dealt with elsewhere: at the provider, or with the buyer. Not of an order that is still held."""
    LOOK_AGAIN = "look_again"
    """The order is to be brought up to what its provider shows now."""


class Decision(Struct, frozen=True, kw_only=True):
    """What was decided, by whom, when and why."""

    verdict: Verdict
    by: str
    why: str
    at_ms: int


class KeptReview(Struct, frozen=True, kw_only=True):
    """A review on the record."""

    review_id: str
    review: Review
    found_at_ms: int
    decision: Decision | None = None


class ReviewStore(Protocol):
    """Where reviews are. All raise PaymentsUnavailable."""

    async def open(self, after: str | None) -> Sequence[KeptReview]:
        """A page of open reviews in order of their ids; one that is not full is the last."""

    async def find(self, review_id: str) -> KeptReview | None:
        """One review."""

    async def decide(self, review_id: str, decision: Decision) -> None:
        """Close an open review. Durable once returned. Raise ReviewResolved when somebody else decided meanwhile."""


class OrderHolds(Protocol):
    """Orders whose credits were put aside: see `shared.payments.holds`."""

    async def order_asked_about(self, name: str, order_id: OrderId | None) -> Order | None:
        """The order that was put aside when this review was written; None for a review about anything else."""

    async def let_go(self, order_id: OrderId, *, operator: str, reason: str) -> Order:
        """End the hold; the next look at the order moves its credits. Raise OrderBusy."""


class Reviews:
    """What operators do about reviews."""

    def __init__(self, store: ReviewStore, holds: OrderHolds, tasks: Tasks, clock: Clock) -> None:
        self._store = store
        self._holds = holds
        self._tasks = tasks
        self._clock = clock

    async def resolve(self, review_id: str, verdict: Verdict, *, by: str, why: str) -> KeptReview:
        """Decide, on the record; a repeat of the same decision answers the same.

        Raise ReviewAbsent, ReviewResolved when another decision stands, OrderHeld when it would leave credits waiting
        for nobody, OrderBusy, PaymentsUnavailable, RiskUnavailable or TasksUnavailable.
        """
        kept = await self._store.find(review_id)
        if kept is None:
            raise ReviewAbsent
        held = await self._holds.order_asked_about(review_id, kept.review.order_id)
        if kept.decision is None:
            if held is not None and held.is_held:
                if verdict is not Verdict.DISMISSED:
                    raise OrderHeld
                # If we die after this, the order is released and a repeat of the request closes the review.
                await self._holds.let_go(held.order_id, operator=by, reason=why)
            decision = Decision(verdict=verdict, by=by, why=why, at_ms=self._clock())
            await self._store.decide(review_id, decision)
            kept = replace(kept, decision=decision)
            write_line("WARNING", "review_resolved", review=review_id, reason=kept.review.reason, verdict=verdict.value)
        elif (kept.decision.verdict, kept.decision.by, kept.decision.why) != (verdict, by, why):
            raise ReviewResolved
        # If we die before this, a repeat of the request posts it.
        if verdict is Verdict.LOOK_AGAIN or (verdict is Verdict.DISMISSED and held is not None):
            await self._look_again(kept)
        return kept

    async def _look_again(self, kept: KeptReview) -> None:
        review, name = kept.review, f"review-{kept.review_id}"
        if review.order_id is not None:
            await post_check(self._tasks, review.order_id, name)
        elif review.reason in ABOUT_OBJECTS:
            subject = Subject(review.expected, review.subject)
            event = Event(rail=review.rail, event_id=name, kind="review", subject=subject, body_sha256="")
            apply = PaymentApply(event=event, received_at_ms=kept.found_at_ms)
            await self._tasks.post(PAYMENT_APPLY, apply, name_key=f"{review.rail.value}:{name}")
