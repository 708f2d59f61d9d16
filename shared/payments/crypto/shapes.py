"""What functions about payments on a chain answer."""

from shared.base.body import Body
from shared.chain.x402 import RESPONSE_HEADER, response_header
from shared.payments.crypto.claims import Shown
from shared.payments.shapes import OrderView, view_of


class PaymentView(Body, frozen=True, kw_only=True):
    """An order and the payment on a chain that was shown for it."""

    order: OrderView
    transaction: str | None
    """None while the payment stands in no block."""
    blocks_missing: int | None
    """How many blocks the chain must still add before the payment is final; None when it is, or stands in no block."""


def payment_view(shown: Shown, *, at_ms: int) -> PaymentView:
    """What came of a payment, as its buyer is told."""
    return PaymentView(
        order=view_of(shown.order, at_ms=at_ms), transaction=shown.transaction, blocks_missing=shown.blocks_missing
    )


def payment_headers(shown: Shown) -> dict[str, str]:
    """PAYMENT-RESPONSE of x402, once the payment stands on the chain."""
    terms = shown.order.checkout.terms if shown.order.checkout else None
    if terms is None or shown.transaction is None or shown.payer is None:
        return {}
    header = response_header(terms.token, payer=shown.payer, transaction=shown.transaction, amount=terms.amount)
    return {RESPONSE_HEADER: header}
