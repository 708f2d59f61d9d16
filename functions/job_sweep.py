"""Requeue jobs that stand still, end those that did so too often, and give back what ended ones hold.

Called by Cloud Scheduler; repeatable.
"""

from shared.app import App
from shared.base.body import Body, Empty
from shared.web.auth import Caller
from shared.web.function import http_function


class JobSweepResponse(Body, frozen=True, kw_only=True):
    """What this run did. `given_back` counts jobs that were over and held something still, `failed` those that could
    not be looked after this time, `put_aside` those that could not so often that nobody looks any more; `finished` is
    false when there were more jobs than one run takes.
    """

    requeued: int
    ended: int
    given_back: int
    failed: int
    put_aside: int
    finished: bool


@http_function(auth="service", scope="timer", answer=JobSweepResponse)
async def job_sweep(body: Empty, caller: Caller, app: App) -> JobSweepResponse:
    """Raise JobsUnavailable (503); the next run goes on."""
    report = await app.job_sweep.run()
    return JobSweepResponse(
        requeued=report.requeued,
        ended=report.ended,
        given_back=report.given_back,
        failed=report.failed,
        put_aside=report.put_aside,
        finished=report.finished,
    )
