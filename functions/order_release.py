"""Give a buyer the credits that wait for a person's look. Called by operators; a repeat gives nothing more.

To refuse the purchase instead, give its money back with `payment_refund`.
"""

from shared.app import App
from shared.base.body import Body, ShortText
from shared.payments.models import OrderId
from shared.payments.shapes import OrderIdText, OrderView, view_of
from shared.web.auth import Caller
from shared.web.function import http_function


class OrderReleaseRequest(Body, frozen=True, kw_only=True):
    """Which order, and why it is good. The buyer sees the reason."""

    order_id: OrderIdText
    reason: ShortText


class OrderReleaseResponse(Body, frozen=True, kw_only=True):
    """The order as it stands after it."""

    order: OrderView


@http_function(
    auth="service",
    scope="payment:refund",
    body=OrderReleaseRequest,
    path_param="order_id",
    path_suffix="/release",
    answer=OrderReleaseResponse,
    imports_ahead="aiohttp",
)
async def order_release(body: OrderReleaseRequest, caller: Caller, app: App) -> OrderReleaseResponse:
    """Raise OrderAbsent (404), OrderBusy (429) or RailUnavailable (503)."""
    order = await app.held_orders.release(OrderId(body.order_id), operator=caller.name, reason=body.reason)
    return OrderReleaseResponse(order=view_of(order, at_ms=app.clock()))
