"""Order a pack of credits and say where to pay. Called by apps; a repeat with the same key answers the same order."""

from shared.app import App
from shared.base.body import Body, IdempotencyKey
from shared.payments.models import RailName
from shared.payments.shapes import CurrencyText, OrderView, PackText, RailText, view_of
from shared.web.auth import Caller
from shared.web.function import http_function


class CheckoutCreateRequest(Body, frozen=True, kw_only=True):
    """What to buy, in which currency, by which rail."""

    rail: RailText
    pack: PackText
    currency: CurrencyText
    idempotency_key: IdempotencyKey


class CheckoutCreateResponse(Body, frozen=True, kw_only=True):
    """The order. The credits come by themselves once it is paid; watch `orders/{order_id}` or GET it."""

    order: OrderView


@http_function(auth="user_now", body=CheckoutCreateRequest, answer=CheckoutCreateResponse, imports_ahead="aiohttp")
async def checkout_create(body: CheckoutCreateRequest, caller: Caller, app: App) -> CheckoutCreateResponse:
    """Raise PackUnknown, RailNotOffered, AccountAbsent (404), SignInNeeded (403), KeyReused, RailRefused (409),
    CheckoutTooOften (429) or RailUnavailable (503).
    """
    order = await app.orders.checkout(
        caller.signed_in_user().uid,
        RailName(body.rail),
        body.pack,
        body.currency,
        key=body.idempotency_key,
        client=caller.client,
    )
    return CheckoutCreateResponse(order=view_of(order, at_ms=app.clock()))
