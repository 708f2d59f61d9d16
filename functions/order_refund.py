"""Give an untouched order back within two weeks. Called by its buyer; a repeat gives nothing more back."""

from shared.app import App
from shared.base.body import Body
from shared.payments.models import OrderId
from shared.payments.shapes import OrderIdText, OrderView, view_of
from shared.web.auth import Caller
from shared.web.function import http_function


class OrderRefundRequest(Body, frozen=True, kw_only=True):
    """Which order."""

    order_id: OrderIdText


class OrderRefundResponse(Body, frozen=True, kw_only=True):
    """The order as it stands after it."""

    order: OrderView


@http_function(
    auth="user_now",
    body=OrderRefundRequest,
    path_param="order_id",
    path_suffix="/refund",
    answer=OrderRefundResponse,
    imports_ahead="aiohttp",
)
async def order_refund(body: OrderRefundRequest, caller: Caller, app: App) -> OrderRefundResponse:
    """Raise OrderAbsent (404), RefundRefused (409) or RailUnavailable (503)."""
    order = await app.refunds.own(caller.known_user().uid, OrderId(body.order_id))
    return OrderRefundResponse(order=view_of(order, at_ms=app.clock()))
