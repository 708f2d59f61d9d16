"""What functions about payments take and answer."""

from typing import Annotated, Literal

from msgspec import Meta

from shared.base.body import LAST, Body
from shared.chain.rules import text_to_sign
from shared.chain.signatures import checksummed
from shared.payments.models import Order, OrderState

RailText = Literal["stripe", "razorpay", "paypal", "crypto"]
"""x402 is asked for where it pays: `credit_topup`."""
CurrencyText = Annotated[str, Meta(pattern=rf"^[A-Z]{{3}}{LAST}")]
PackText = Annotated[str, Meta(pattern=rf"^[a-z0-9_]{{1,40}}{LAST}")]
OrderIdText = Annotated[str, Meta(pattern=rf"^[a-z2-7]{{24}}{LAST}")]


class TransferView(Body, frozen=True, kw_only=True):
    """What pays an order on a chain: one transfer of exactly this, by whoever then signs the text."""

    network: str
    """CAIP-2, as in `eip155:8453`."""
    chain_id: int
    asset: str
    """The token's contract."""
    receiver: str
    amount: int
    """In the token's smallest unit; USDC has six decimals."""
    text: str
    """What the sender signs with `personal_sign`, the hash of the transaction in the place of `{transaction}`."""


class OrderView(Body, frozen=True, kw_only=True):
    """An order as its owner sees it. Amounts of money are in the currency's smallest unit."""

    order_id: str
    state: str
    rail: str
    pack: str
    amount_minor: int
    currency: str
    credits_micros: int
    bonus_micros: int
    url: str | None
    """Where to pay, while that is possible."""
    parameters: dict[str, str | int] | None = None
    """What the app opens the rail's own checkout with, for rails whose page it is not; while that is possible."""
    transfer: TransferView | None = None
    """For a rail on a chain, while it can be paid: what to send. `url` is the same for a wallet that opens links."""
    invoice: str | None
    created_at_ms: int
    expires_at_ms: int


def view_of(order: Order, *, at_ms: int) -> OrderView:
    """The order as it is shown. One whose time is over is shown as that before anybody has looked at the rail."""
    is_open = order.state in (OrderState.CREATED, OrderState.PENDING)
    is_over = is_open and order.expires_at_ms <= at_ms and not order.claims
    checkout = order.checkout if is_open and not is_over else None
    return OrderView(
        order_id=order.order_id,
        state="expired" if is_over else order.state.value,
        rail=order.rail.value,
        pack=order.pack_id,
        amount_minor=order.money.amount_minor,
        currency=order.money.currency,
        credits_micros=order.credits_micros,
        bonus_micros=order.bonus_micros,
        url=checkout.url if checkout else None,
        parameters=dict(checkout.parameters) if checkout and checkout.parameters else None,
        transfer=_transfer_of(order) if checkout else None,
        invoice=order.invoice,
        created_at_ms=order.created_at_ms,
        expires_at_ms=order.expires_at_ms,
    )


def _transfer_of(order: Order) -> TransferView | None:
    terms = order.checkout.terms if order.checkout else None
    if terms is None:
        return None
    return TransferView(
        network=terms.token.network,
        chain_id=terms.token.chain_id,
        asset=checksummed(terms.token.asset),
        receiver=checksummed(terms.token.receiver),
        amount=terms.amount,
        text=text_to_sign(terms.token, order_id=order.order_id),
    )
