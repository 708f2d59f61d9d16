"""Go on with a job that waits for credits, under the same ceiling or a higher one. Called by its owner after a top-up.

A repeat with the same ceiling changes nothing more.
"""

from typing import Annotated

from msgspec import Meta

from shared.agents.limits import CEILING_MICROS_MAX
from shared.agents.models import JobId
from shared.agents.shapes import JobIdText, JobView, view_of
from shared.app import App
from shared.base.body import Body
from shared.web.auth import Caller
from shared.web.function import http_function


class JobResumeRequest(Body, frozen=True, kw_only=True):
    """Which job, and what all of it may cost from now on."""

    job_id: JobIdText
    ceiling_micros: Annotated[int, Meta(gt=0, le=CEILING_MICROS_MAX)]


@http_function(auth="holder", body=JobResumeRequest, path_param="job_id", path_suffix="/resume", answer=JobView)
async def job_resume(body: JobResumeRequest, caller: Caller, app: App) -> JobView:
    """Raise JobAbsent (404), JobOver (409) or CeilingTooLow (400)."""
    job = await app.jobs.resume(JobId(body.job_id), body.ceiling_micros, account_id=caller.account_id, uid=caller.uid)
    return view_of(job)
