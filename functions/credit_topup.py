"""Buy a pack of credits by x402: asked without a payment it answers 402 and the price, with one it settles and grants.

Called by apps and by any client of x402, version 2. A repeat with the same key is the same order: it is paid once, and
answered as it stands. Until the payment is final the answer is a 202, and the credits come by themselves.
"""

from starlette.responses import Response

from shared.app import App
from shared.base.body import Body, IdempotencyKey
from shared.payments.crypto.shapes import PaymentView, payment_headers, payment_view
from shared.payments.shapes import PackText
from shared.web.answers import answer_or_pending
from shared.web.auth import Caller
from shared.web.function import http_function


class CreditTopupRequest(Body, frozen=True, kw_only=True):
    """What to buy."""

    pack: PackText
    idempotency_key: IdempotencyKey


@http_function(
    auth="user_now", body=CreditTopupRequest, answer=PaymentView, imports_ahead="aiohttp", pays=True, pends=True
)
async def credit_topup(body: CreditTopupRequest, caller: Caller, app: App) -> Response:
    """Raise AuthorizationRefused (400), PaymentRequired (402), PackUnknown, RailNotOffered (404), AuthorizationTaken,
    PaymentUnderway, OrderOver, KeyReused (409), FacilitatorUnavailable or ChainUnavailable (503)."""
    shown = await app.topups.top_up(
        caller.known_user().uid, body.pack, key=body.idempotency_key, payment=caller.payment
    )
    return answer_or_pending(
        payment_view(shown, at_ms=app.clock()),
        is_pending=shown.order.payment_id is None,
        headers=payment_headers(shown),
    )
