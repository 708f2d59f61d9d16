"""Learn that an order was paid from its buyer's browser. Called by apps when Razorpay's checkout is done; a repeat
looks again and grants nothing more.

It is only the quicker way: without it the credits come by Razorpay's event.
"""

from typing import Annotated

from msgspec import Meta

from shared.app import App
from shared.base.body import LAST, Body
from shared.payments.models import OrderId
from shared.payments.shapes import OrderIdText, OrderView, view_of
from shared.web.auth import Caller
from shared.web.function import http_function

PaymentText = Annotated[str, Meta(pattern=rf"^pay_[A-Za-z0-9]{{1,40}}{LAST}")]
SignatureText = Annotated[str, Meta(pattern=rf"^[0-9a-f]{{64}}{LAST}")]


class PaymentConfirmRequest(Body, frozen=True, kw_only=True):
    """What the checkout's handler was given, but for Razorpay's order: that is known from our own."""

    order_id: OrderIdText
    payment_id: PaymentText
    """`razorpay_payment_id`."""
    signature: SignatureText
    """`razorpay_signature`."""


class PaymentConfirmResponse(Body, frozen=True, kw_only=True):
    """The order as it stands: granted, unless the bank takes its time."""

    order: OrderView


@http_function(
    auth="user",
    body=PaymentConfirmRequest,
    path_param="order_id",
    path_suffix="/confirm",
    answer=PaymentConfirmResponse,
    imports_ahead="aiohttp",
)
async def payment_confirm(body: PaymentConfirmRequest, caller: Caller, app: App) -> PaymentConfirmResponse:
    """Raise ConfirmationRefused (400), OrderAbsent, RailNotOffered (404), OrderBusy (429) or RailUnavailable (503)."""
    order = await app.confirmations.confirm(
        caller.known_user().uid, OrderId(body.order_id), body.payment_id, body.signature
    )
    return PaymentConfirmResponse(order=view_of(order, at_ms=app.clock()))
