"""Have payouts looked at that are due: held long enough, left half done, on their way, or paid lately.

Called by Cloud Scheduler; a repeat finds what is left.
"""

from shared.app import App
from shared.base.body import Body, Empty
from shared.web.auth import Caller
from shared.web.function import http_function


class PayoutScheduleResponse(Body, frozen=True, kw_only=True):
    """What this run did. `finished` is false when more payouts were due than one run takes."""

    posted: int
    finished: bool


@http_function(auth="service", scope="timer", answer=PayoutScheduleResponse)
async def payout_schedule(body: Empty, caller: Caller, app: App) -> PayoutScheduleResponse:
    """Raise PaymentsUnavailable or TasksUnavailable (503)."""
    done = await app.payout_schedule.run()
    return PayoutScheduleResponse(posted=done.posted, finished=done.finished)
