"""Post to payees what closed windows owe them. Called by Cloud Scheduler; a repeat settles nothing twice."""

from shared.app import App
from shared.base.body import Body, Empty
from shared.web.auth import Caller
from shared.web.function import http_function


class LedgerSettleResponse(Body, frozen=True, kw_only=True):
    """What this run did. `finished` is false when closed windows were left for the next run."""

    windows: int
    entries: int
    postings: int
    micros: int
    finished: bool


@http_function(auth="service", scope="timer", answer=LedgerSettleResponse)
async def ledger_settle(body: Empty, caller: Caller, app: App) -> LedgerSettleResponse:
    """A window whose content changed since it was settled ends the run with KeyReused and a CRITICAL log line."""
    report = await app.settlement.run()
    return LedgerSettleResponse(
        windows=report.windows,
        entries=report.entries,
        postings=report.postings,
        micros=report.micros,
        finished=report.finished,
    )
