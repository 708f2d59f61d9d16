"""Close leases of contributed keys whose processes died. Called by Cloud Scheduler; a repeat finds what is left."""

from shared.app import App
from shared.base.body import Body, Empty
from shared.web.auth import Caller
from shared.web.function import http_function


class LeaseSweepResponse(Body, frozen=True, kw_only=True):
    """What this run did. `finished` is false when there were more leases than one run takes."""

    closed: int
    waiting: int
    returned_micros: int
    finished: bool


@http_function(auth="service", scope="timer", answer=LeaseSweepResponse)
async def lease_sweep(body: Empty, caller: Caller, app: App) -> LeaseSweepResponse:
    """Raise ShelfUnavailable (503). A lease that cannot be counted waits for the next run."""
    report = await app.lease_sweep.run()
    return LeaseSweepResponse(
        closed=report.closed,
        waiting=report.waiting,
        returned_micros=report.returned_micros,
        finished=report.finished,
    )
