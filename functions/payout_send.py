"""Bring a payout as far as it may go now. Called by Cloud Tasks, also twice at once: each step is done once."""

from shared.app import App
from shared.payouts.models import PayoutId, PayoutSend
from shared.web.task import task_function


@task_function(body=PayoutSend, imports_ahead="aiohttp")
async def payout_send(send: PayoutSend, app: App) -> None:
    """Raise RailUnavailable, PaymentsUnavailable, LedgerUnavailable or PayoutBusy, which bring the task back."""
    await app.payout_sending.advance(PayoutId(send.payout_id))
