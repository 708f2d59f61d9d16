"""Answer what a job asks its owner, and have it go on. The same answer to the same question again changes nothing."""

from typing import Annotated

from msgspec import Meta

from shared.agents.limits import APPROVAL_CHARS_MAX
from shared.agents.models import JobId
from shared.agents.shapes import JobIdText, JobView, view_of
from shared.app import App
from shared.base.body import Body, ShortText
from shared.web.auth import Caller
from shared.web.function import http_function


class JobApproveRequest(Body, frozen=True, kw_only=True):
    """Which job, which of its questions (`approval.interrupt_id`), and the answer: `yes`, or what instead."""

    job_id: JobIdText
    interrupt_id: ShortText
    answer: Annotated[str, Meta(min_length=1, max_length=APPROVAL_CHARS_MAX)]


@http_function(auth="holder", body=JobApproveRequest, path_param="job_id", path_suffix="/approve", answer=JobView)
async def job_approve(body: JobApproveRequest, caller: Caller, app: App) -> JobView:
    """Raise JobAbsent (404), JobOver or ApprovalWrong (409)."""
    job = await app.jobs.approve(
        JobId(body.job_id), body.interrupt_id, body.answer, account_id=caller.account_id, uid=caller.uid
    )
    return view_of(job)
