"""Stop a job before its next paid call. Called by its owner; a repeat is harmless.

It is `stopping` until whoever works at it has confirmed that, and then `cancelled`.
"""

from shared.agents.models import JobId
from shared.agents.shapes import JobIdText, JobView, view_of
from shared.app import App
from shared.base.body import Body
from shared.web.auth import Caller
from shared.web.function import http_function


class JobCancelRequest(Body, frozen=True, kw_only=True):
    """Which job."""

    job_id: JobIdText


@http_function(auth="holder", body=JobCancelRequest, path_param="job_id", path_suffix="/cancel", answer=JobView)
async def job_cancel(body: JobCancelRequest, caller: Caller, app: App) -> JobView:
    """Raise JobAbsent (404). A job that is over is answered as it ended."""
    return view_of(await app.jobs.cancel(JobId(body.job_id), account_id=caller.account_id, uid=caller.uid))
