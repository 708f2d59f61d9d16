"""Walk what was posted since the last audit and alarm on a break. Called by Cloud Scheduler; a repeat looks again."""

from shared.app import App
from shared.base.body import Body, Empty
from shared.web.auth import Caller
from shared.web.function import http_function


class BrokenAccount(Body, frozen=True, kw_only=True):
    """An account whose documents do not prove each other."""

    account_id: str
    entry_id: str | None
    seq: int | None
    reason: str


class LedgerAuditResponse(Body, frozen=True, kw_only=True):
    """What this run did. `finished` is false when something was left for the next run."""

    accounts: int
    entries: int
    broken: list[BrokenAccount]
    finished: bool


@http_function(auth="service", scope="timer", answer=LedgerAuditResponse)
async def ledger_audit(body: Empty, caller: Caller, app: App) -> LedgerAuditResponse:
    """Every break is also a document under `alarms` and a CRITICAL log line, `ledger_broken`, for the alert."""
    report = await app.audit.run()
    return LedgerAuditResponse(
        accounts=report.accounts,
        entries=report.entries,
        broken=[
            BrokenAccount(account_id=alarm.account_id, entry_id=alarm.entry_id, seq=alarm.seq, reason=alarm.reason)
            for alarm in report.broken
        ],
        finished=report.finished,
    )
