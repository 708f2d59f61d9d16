"""End sessions whose time is over, finish closings that had to wait. Called by Cloud Scheduler; repeat it freely."""

from shared.app import App
from shared.base.body import Body, Empty
from shared.web.auth import Caller
from shared.web.function import http_function


class SessionSweepResponse(Body, frozen=True, kw_only=True):
    """What this run did. `finished` is false when there was more than one run takes."""

    ended: int
    waiting: int
    returned_micros: int
    pools_closed: int
    finished: bool


@http_function(auth="service", scope="timer", answer=SessionSweepResponse)
async def session_sweep(body: Empty, caller: Caller, app: App) -> SessionSweepResponse:
    """Raise CardsUnavailable or PoolsUnavailable (503). What calls are under way for waits for the next run."""
    report = await app.session_sweep.run()
    return SessionSweepResponse(
        ended=report.ended,
        waiting=report.waiting,
        returned_micros=report.returned_micros,
        pools_closed=report.pools_closed,
        finished=report.finished,
    )
