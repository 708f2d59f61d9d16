"""Do what an event about recipients asks for: look at the recipient, or at the payout whose money it is about.

Called by Cloud Tasks, also twice at once; what an event claims is not believed, what the provider shows now is.
"""

from shared.app import App
from shared.payouts.models import ConnectEvent
from shared.web.task import task_function


@task_function(body=ConnectEvent, imports_ahead="aiohttp")
async def payout_apply(event: ConnectEvent, app: App) -> None:
    """Raise RailUnavailable, PaymentsUnavailable, LedgerUnavailable or PayoutBusy, which bring the task back."""
    await app.connect_applier.apply(event)
