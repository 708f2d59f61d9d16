"""See what became of an order when its time is over. Called by Cloud Tasks; a repeat changes nothing more.

So an order is granted or ends although every event of its rail was lost.
"""

from shared.app import App
from shared.payments.models import OrderCheck, OrderId
from shared.web.task import task_function


@task_function(body=OrderCheck, imports_ahead="aiohttp")
async def order_check(check: OrderCheck, app: App) -> None:
    """Raise RailUnavailable, PaymentsUnavailable, OrderBusy or LedgerUnavailable, which bring the task back."""
    await app.applier.check(OrderId(check.order_id))
