"""Give all or a part of an order's money back. Called by operators; a repeat with the same key gives it back once.

The credits go back with it, into debt where they are spent, and so does the pack's bonus.
"""

from typing import Annotated

from msgspec import Meta

from shared.app import App
from shared.base.body import Body, IdempotencyKey, ShortText
from shared.payments.models import OrderId
from shared.payments.shapes import OrderIdText, OrderView, view_of
from shared.web.auth import Caller
from shared.web.function import http_function

AMOUNT_MINOR_MAX = 10_000_000
"""Far above any pack."""


class PaymentRefundRequest(Body, frozen=True, kw_only=True):
    """How much of which order, in its currency's smallest unit; without an amount all. The buyer sees the reason."""

    order_id: OrderIdText
    amount_minor: Annotated[int, Meta(ge=1, le=AMOUNT_MINOR_MAX)] | None = None
    reason: ShortText
    idempotency_key: IdempotencyKey


class PaymentRefundResponse(Body, frozen=True, kw_only=True):
    """The order as it stands after it."""

    order: OrderView


@http_function(
    auth="service",
    scope="payment:refund",
    body=PaymentRefundRequest,
    answer=PaymentRefundResponse,
    imports_ahead="aiohttp",
)
async def payment_refund(body: PaymentRefundRequest, caller: Caller, app: App) -> PaymentRefundResponse:
    """Raise OrderAbsent (404), RefundRefused or KeyReused (409), or RailUnavailable (503)."""
    order = await app.refunds.any(
        OrderId(body.order_id), body.amount_minor, operator=caller.name, reason=body.reason, key=body.idempotency_key
    )
    return PaymentRefundResponse(order=view_of(order, at_ms=app.clock()))
