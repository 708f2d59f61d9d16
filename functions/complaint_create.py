"""Complain about a call that a contributed key served. Called by whoever paid for it, a user or a program.

The key is tried at its provider again, and trusted less. A call has one complaint; a repeat answers the same.
"""

from typing import Annotated, Literal

from msgspec import Meta

from shared.app import App
from shared.base.body import LAST, Body
from shared.base.ids import EntryId
from shared.resources.models import Defect
from shared.web.auth import Caller
from shared.web.function import http_function


class ComplaintCreateRequest(Body, frozen=True, kw_only=True):
    """The call's receipt, and what was wrong with its answer."""

    receipt_id: Annotated[str, Meta(pattern=rf"^[0-9a-f]{{64}}{LAST}")]
    defect: Literal["no_answer", "cut_off", "nonsense", "other_model"]


class ComplaintCreateResponse(Body, frozen=True, kw_only=True):
    """The complaint. The key's owner sees what comes of it, and not who made it."""

    complaint_id: str
    receipt_id: str
    defect: str
    at_ms: int


@http_function(auth="holder", body=ComplaintCreateRequest, answer=ComplaintCreateResponse)
async def complaint_create(body: ComplaintCreateRequest, caller: Caller, app: App) -> ComplaintCreateResponse:
    """Raise NotContributed (400), EntryAbsent (404), ComplaintLate or ComplaintMade (409), TooManyComplaints (429)."""
    complaint = await app.complaints.complain(
        caller.account_id, caller.owner_uid(), EntryId(body.receipt_id), Defect(body.defect)
    )
    return ComplaintCreateResponse(
        complaint_id=complaint.id,
        receipt_id=complaint.receipt_id,
        defect=complaint.defect.value,
        at_ms=complaint.at_ms,
    )
