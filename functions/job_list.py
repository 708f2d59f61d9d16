"""List the caller's jobs, newest first. Called by apps and programs; reads only."""

from typing import Annotated

from msgspec import Meta

from shared.agents.shapes import JobView, view_of
from shared.app import App
from shared.base.body import LAST, Body
from shared.web.auth import Caller
from shared.web.function import http_function


class JobListRequest(Body, frozen=True, kw_only=True):
    """Where to go on: with jobs asked for before this moment, in milliseconds."""

    before_ms: Annotated[str, Meta(pattern=rf"^[0-9]{{1,15}}{LAST}")] | None = None


class JobListResponse(Body, frozen=True, kw_only=True):
    """At most fifty jobs; `before_ms` of the next page, None on the last one."""

    object: str = "list"
    data: list[JobView]
    before_ms: int | None


@http_function(auth="user", method="GET", body=JobListRequest, answer=JobListResponse)
async def job_list(body: JobListRequest, caller: Caller, app: App) -> JobListResponse:
    """Jobs of the caller's cards are among them."""
    before_ms = None if body.before_ms is None else int(body.before_ms)
    jobs = await app.jobs.owned_by(caller.known_user().uid, before_ms=before_ms)
    return JobListResponse(data=[view_of(job) for job in jobs], before_ms=jobs[-1].created_at_ms if jobs else None)
