"""Has an order looked at later: at its end, while a payment is awaited, after a refund or a doubt was written down.

Somebody looks whatever becomes of us and of the provider's events; a look that was not needed changes nothing.
"""

from shared.payments.models import ORDER_CHECK, OrderCheck, OrderId
from shared.tasks.service import Tasks

MARGIN_MS = 60_000
"""Clocks differ by less: who looks so long after a moment finds that it has passed."""


async def post_check(tasks: Tasks, order_id: OrderId, why: str, *, at_ms: int | None = None) -> None:
    """Have the order looked at, at a moment or now; once for each `why`. Raise TasksUnavailable."""
    check = OrderCheck(order_id=order_id)
    await tasks.post(ORDER_CHECK, check, name_key=f"{order_id}:{why}", at_ms=at_ms)
