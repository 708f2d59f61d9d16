"""Say that a transfer on the chain pays one's order. Called by its buyer; a repeat grants nothing more.

Until the transfer is final the answer is a 202 that says how many blocks are missing; the credits then come by
themselves, or at the next repeat.
"""

from typing import Annotated

from msgspec import Meta
from starlette.responses import Response

from shared.app import App
from shared.base.body import Body
from shared.chain.models import Digest, HexDigest, HexSignature
from shared.payments.crypto.shapes import PaymentView, payment_view
from shared.payments.models import OrderId
from shared.payments.shapes import OrderIdText
from shared.web.answers import answer_or_pending
from shared.web.auth import Caller
from shared.web.function import http_function

LOG_INDEX_MAX = 1_000_000
"""No block has as many logs."""


class CryptoClaimRequest(Body, frozen=True, kw_only=True):
    """Which transaction, and its sender's signature over the order's text with the transaction's hash in it."""

    order_id: OrderIdText
    transaction: HexDigest
    signature: HexSignature
    log_index: Annotated[int, Meta(ge=0, le=LOG_INDEX_MAX)] | None = None
    """Which of the transaction's transfers, when several would fit."""


@http_function(
    auth="user",
    body=CryptoClaimRequest,
    path_param="order_id",
    path_suffix="/claim",
    answer=PaymentView,
    imports_ahead="aiohttp",
    pends=True,
)
async def crypto_claim(body: CryptoClaimRequest, caller: Caller, app: App) -> Response:
    """Raise TransferRefused (400), ClaimNotSigned (403), OrderAbsent (404), OrderNotOnChain, OrderPaid, TransferTaken,
    PaymentInReview (409) or ChainUnavailable (503)."""
    shown = await app.claims.claim(
        caller.known_user().uid,
        OrderId(body.order_id),
        Digest(body.transaction.lower()),
        body.signature,
        log_index=body.log_index,
    )
    return answer_or_pending(payment_view(shown, at_ms=app.clock()), is_pending=shown.order.payment_id is None)
