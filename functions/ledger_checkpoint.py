"""Log the accounts that changed, sign the log and publish it. Called by Cloud Scheduler; a repeat logs no more."""

from shared.app import App
from shared.base.body import Body, Empty
from shared.web.auth import Caller
from shared.web.function import http_function


class LedgerCheckpointResponse(Body, frozen=True, kw_only=True):
    """What this run did. `finished` is false when something was left for the next run."""

    size: int
    epoch: int
    heads: int
    drift_micros: int
    refused: str | None
    finished: bool


@http_function(auth="service", scope="timer", answer=LedgerCheckpointResponse)
async def ledger_checkpoint(body: Empty, caller: Caller, app: App) -> LedgerCheckpointResponse:
    """Where nothing was signed, `refused` names the alarm: a document under `alarms` and a CRITICAL log line.

    `epoch_unbalanced`: balances and unsettled legs do not cancel. `log_broken`: the log is not what was signed.
    """
    report = await app.checkpoints.run()
    return LedgerCheckpointResponse(
        size=report.size,
        epoch=report.epoch,
        heads=report.heads,
        drift_micros=report.drift_micros,
        refused=report.refused,
        finished=report.finished,
    )
