"""Do what a payment provider's event asks for: look at the provider's object, and bring its order up to it.

Called by Cloud Tasks, also twice at once; whatever is posted has the key of the payment in the real world.
"""

from shared.app import App
from shared.payments.models import PaymentApply
from shared.web.task import task_function


@task_function(body=PaymentApply, imports_ahead="aiohttp")
async def payment_apply(apply: PaymentApply, app: App) -> None:
    """Raise RailUnavailable, PaymentsUnavailable, OrderBusy or LedgerUnavailable, which bring the task back."""
    await app.applier.apply(apply)
