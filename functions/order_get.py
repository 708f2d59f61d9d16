"""Show one of the caller's orders. Called by apps that do not watch it in Firestore; reads only."""

from shared.app import App
from shared.base.body import Body
from shared.payments.models import OrderId
from shared.payments.shapes import OrderIdText, OrderView, view_of
from shared.web.auth import Caller
from shared.web.function import http_function


class OrderGetRequest(Body, frozen=True, kw_only=True):
    """Which order."""

    order_id: OrderIdText


class OrderGetResponse(Body, frozen=True, kw_only=True):
    """The order as it stands."""

    order: OrderView


@http_function(auth="user", method="GET", body=OrderGetRequest, path_param="order_id", answer=OrderGetResponse)
async def order_get(body: OrderGetRequest, caller: Caller, app: App) -> OrderGetResponse:
    """Raise OrderAbsent (404), for somebody else's order as for none."""
    order = await app.order_reader.get(caller.known_user().uid, OrderId(body.order_id))
    return OrderGetResponse(order=view_of(order, at_ms=app.clock()))
