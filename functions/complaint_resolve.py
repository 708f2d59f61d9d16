"""Decide on a complaint about a contributed key, with the reason. Called by operators; a repeat answers the same.

One that is dismissed lowers the key's trust no longer; one that is upheld does for good.
"""

from shared.app import App
from shared.base.body import Body, ShortText
from shared.resources.models import ComplaintId
from shared.resources.shapes import ComplaintIdText, ComplaintView, complaint_view
from shared.web.auth import Caller
from shared.web.function import http_function


class ComplaintResolveRequest(Body, frozen=True, kw_only=True):
    """Which complaint, whether it is justified, and why."""

    complaint_id: ComplaintIdText
    upheld: bool
    reason: ShortText


class ComplaintResolveResponse(Body, frozen=True, kw_only=True):
    """The complaint with its decision."""

    complaint: ComplaintView


@http_function(
    auth="service",
    scope="pool:operate",
    body=ComplaintResolveRequest,
    path_param="complaint_id",
    answer=ComplaintResolveResponse,
)
async def complaint_resolve(body: ComplaintResolveRequest, caller: Caller, app: App) -> ComplaintResolveResponse:
    """Raise ComplaintAbsent (404), ComplaintJudged (409), ContributionBusy (429) or ContributionsUnavailable (503)."""
    complaint = await app.complaints.judge(
        ComplaintId(body.complaint_id), upheld=body.upheld, reason=body.reason, by=caller.name
    )
    return ComplaintResolveResponse(complaint=complaint_view(complaint))
