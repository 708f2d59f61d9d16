"""Keep what payment providers' books say of each day that is over, and add it up. Called by Cloud Scheduler.

A repeat goes on where a run died, and then finds nothing to do. A day that is named is settled once more, as its
provider shows it now: what an operator asks for after a ticket told that a settled day was changed.
"""

from shared.app import App
from shared.base.body import Body
from shared.reconciliation.days import checked
from shared.reconciliation.shapes import DayText
from shared.web.auth import Caller
from shared.web.function import http_function


class SettlementDailyRequest(Body, frozen=True, kw_only=True):
    """Nothing, or a day that is over, in UTC."""

    day: DayText | None = None


class SettlementDailyResponse(Body, frozen=True, kw_only=True):
    """What this run did. `finished` is false when days were left for the next run."""

    days: int
    lines: int
    finished: bool


@http_function(
    auth="service",
    scope="timer",
    body=SettlementDailyRequest,
    answer=SettlementDailyResponse,
)
async def settlement_daily(body: SettlementDailyRequest, caller: Caller, app: App) -> SettlementDailyResponse:
    """Raise RangeWrong (400) or PaymentsUnavailable (503)."""
    done = await app.daily_settlement.run(checked(body.day, now_ms=app.clock()) if body.day else None)
    return SettlementDailyResponse(days=done.days, lines=done.lines, finished=done.finished)
