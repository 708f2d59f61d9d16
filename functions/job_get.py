"""Show a job of the caller's, with what happened in it and what it paid for. Called by apps and programs; reads only.

Apps that use the Firebase SDK watch `jobs/{id}`, its `events` and its `steps` instead.
"""

from typing import Annotated

from msgspec import Meta

from shared.agents.models import JobId
from shared.agents.shapes import EventView, JobIdText, JobView, StepView, event_view, step_view, view_of
from shared.app import App
from shared.base.body import LAST, Body
from shared.web.auth import Caller
from shared.web.function import http_function


class JobGetRequest(Body, frozen=True, kw_only=True):
    """Which job, and the number of the last event that is known already."""

    job_id: JobIdText
    after: Annotated[str, Meta(pattern=rf"^[0-9]{{1,9}}{LAST}")] = "0"


class JobGetResponse(Body, frozen=True, kw_only=True):
    """The job, at most a hundred events behind `after` in order, and at most a hundred steps."""

    job: JobView
    events: list[EventView]
    steps: list[StepView]


@http_function(auth="holder", method="GET", body=JobGetRequest, path_param="job_id", answer=JobGetResponse)
async def job_get(body: JobGetRequest, caller: Caller, app: App) -> JobGetResponse:
    """Raise JobAbsent (404) for a job that is not the caller's."""
    job = await app.jobs.get(JobId(body.job_id), account_id=caller.account_id, uid=caller.uid)
    events = await app.jobs.events(job, after=int(body.after))
    steps = await app.jobs.traces(job)
    return JobGetResponse(
        job=view_of(job), events=[event_view(one) for one in events], steps=[step_view(one) for one in steps]
    )
