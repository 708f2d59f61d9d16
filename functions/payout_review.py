"""Let an earner's first payout go, have one tried again that was tried too often, or refuse any that is held.

Called by operators; a repeat decides nothing more. Who decided and why stays on the payout's record, which its owner
sees. A task does what was decided.
"""

from typing import Literal

from shared.app import App
from shared.base.body import Body, ShortText
from shared.payouts.models import PayoutId
from shared.payouts.shapes import PayoutIdText, PayoutView, view_of
from shared.web.auth import Caller
from shared.web.function import http_function


class PayoutReviewRequest(Body, frozen=True, kw_only=True):
    """What is decided about which payout, and why."""

    payout_id: PayoutIdText
    verdict: Literal["approve", "refuse"]
    reason: ShortText


class PayoutReviewResponse(Body, frozen=True, kw_only=True):
    """The payout with the decision."""

    payout: PayoutView


@http_function(
    auth="service",
    scope="payout:review",
    body=PayoutReviewRequest,
    path_param="payout_id",
    path_suffix="/review",
    answer=PayoutReviewResponse,
)
async def payout_review(body: PayoutReviewRequest, caller: Caller, app: App) -> PayoutReviewResponse:
    """Raise PayoutAbsent (404), PayoutRefused (409) when it is too late, or PayoutBusy (429)."""
    decisions = app.payout_decisions
    decide = decisions.approve if body.verdict == "approve" else decisions.refuse
    payout = await decide(PayoutId(body.payout_id), operator=caller.name, reason=body.reason)
    return PayoutReviewResponse(payout=view_of(payout))
