"""Compare our orders and postings with providers' books and with what arrived at our bank. Called by Cloud Scheduler.

Each difference is one ticket, closed by the first later run that finds that both sides agree. A repeat goes on where a
run died, and looks again at what is open.
"""

from shared.app import App
from shared.base.body import Body, Empty
from shared.web.auth import Caller
from shared.web.function import http_function


class ReconcileDailyResponse(Body, frozen=True, kw_only=True):
    """What this run did. `finished` is false when days were left for the next run, or are not settled yet."""

    days: int
    opened: int
    resolved: int
    finished: bool


@http_function(auth="service", scope="timer", answer=ReconcileDailyResponse)
async def reconcile_daily(body: Empty, caller: Caller, app: App) -> ReconcileDailyResponse:
    """Raise PaymentsUnavailable, LedgerUnavailable or TasksUnavailable (503)."""
    done = await app.reconciliation.run()
    return ReconcileDailyResponse(days=done.days, opened=done.opened, resolved=done.resolved, finished=done.finished)
