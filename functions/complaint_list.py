"""Show complaints about contributed keys that nobody has decided on. Called by operators; reads only."""

from shared.app import App
from shared.base.body import Body
from shared.resources.complaint_store import PAGE_COMPLAINTS_MAX
from shared.resources.models import ComplaintId
from shared.resources.shapes import ComplaintIdText, ComplaintView, complaint_view
from shared.web.auth import Caller
from shared.web.function import http_function


class ComplaintListRequest(Body, frozen=True, kw_only=True):
    """From the beginning, or after the last complaint of the page before."""

    after: ComplaintIdText | None = None


class ComplaintListResponse(Body, frozen=True, kw_only=True):
    """A page of open complaints. `after` asks for the next one; null at the end."""

    complaints: list[ComplaintView]
    after: str | None


@http_function(
    auth="service", scope="pool:operate", method="GET", body=ComplaintListRequest, answer=ComplaintListResponse
)
async def complaint_list(body: ComplaintListRequest, caller: Caller, app: App) -> ComplaintListResponse:
    """Raise ContributionsUnavailable (503)."""
    found = await app.complaints.open(ComplaintId(body.after) if body.after is not None else None)
    return ComplaintListResponse(
        complaints=[complaint_view(complaint) for complaint in found],
        after=found[-1].id if len(found) == PAGE_COMPLAINTS_MAX else None,
    )
