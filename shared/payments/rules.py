"""Pure decisions about orders: what one is, which state follows which, and whether a payment is the order's own."""

import base64
import hashlib
from collections.abc import Iterable

from msgspec.structs import replace

from shared.base.economy import ORDER_LIFETIME_MS, PACKS, Pack
from shared.base.ids import UserId
from shared.payments.errors import PackUnknown
from shared.payments.models import (
    Money,
    Order,
    OrderId,
    OrderState,
    PaymentId,
    PaymentStatus,
    RailName,
    ReversalKind,
    ReversalState,
    Review,
    Seen,
)

ORDER_ID_CHARS = 24
"""A hundred and twenty bits of a hash of who ordered and under which key."""

TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    OrderState.CREATED: frozenset({OrderState.PENDING, OrderState.PAID, OrderState.EXPIRED, OrderState.CANCELLED}),
    OrderState.PENDING: frozenset({OrderState.PAID, OrderState.EXPIRED, OrderState.CANCELLED}),
    # Money that comes after all is still the buyer's: they get what it bought.
    OrderState.EXPIRED: frozenset({OrderState.PAID}),
    OrderState.CANCELLED: frozenset({OrderState.PAID}),
    OrderState.PAID: frozenset({OrderState.GRANTED, OrderState.REFUNDED, OrderState.DISPUTED}),
    OrderState.GRANTED: frozenset({OrderState.REFUNDED, OrderState.DISPUTED}),
    # A refund can fail after it was made, and a dispute be won.
    OrderState.REFUNDED: frozenset({OrderState.GRANTED, OrderState.DISPUTED}),
    OrderState.DISPUTED: frozenset({OrderState.GRANTED, OrderState.REFUNDED}),
}
"""Which state may follow which."""
UNPAID = frozenset({OrderState.CREATED, OrderState.PENDING, OrderState.EXPIRED, OrderState.CANCELLED})


def order_id_of(owner: UserId, key: str) -> OrderId:
    """The order that this owner's key stands for: a repeat finds the same one."""
    digest = hashlib.sha256(f"credence.order.v1:{len(owner)}:{owner}:{key}".encode()).digest()
    return OrderId(base64.b32encode(digest).decode().lower()[:ORDER_ID_CHARS])


def pack_of(pack_id: str, packs: Iterable[Pack] = PACKS) -> Pack:
    """The pack of that name. Raise PackUnknown."""
    for pack in packs:
        if pack.pack_id == pack_id:
            return pack
    raise PackUnknown("pack")


def new_order(order_id: OrderId, owner: UserId, rail: RailName, pack: Pack, currency: str, *, at_ms: int) -> Order:
    """An order with today's price frozen in it. Raise PackUnknown when the pack is not sold in that currency."""
    if currency not in pack.prices_minor:
        raise PackUnknown("currency")
    return Order(
        order_id=order_id,
        owner=owner,
        rail=rail,
        pack_id=pack.pack_id,
        money=Money(pack.prices_minor[currency], currency),
        credits_micros=pack.credits_micros,
        bonus_micros=pack.bonus_micros,
        state=OrderState.CREATED,
        created_at_ms=at_ms,
        expires_at_ms=at_ms + ORDER_LIFETIME_MS,
    )


def is_same_request(order: Order, owner: UserId, rail: RailName, pack_id: str, currency: str) -> bool:
    """Whether a repeat asks for what the order is."""
    return (order.owner, order.rail, order.pack_id, order.money.currency) == (owner, rail, pack_id, currency)


def payment_name(rail: RailName, payment_id: PaymentId) -> str:
    """What a payment is called among those of all rails: it is bound to one order, and posted, under this name.

    Both ways to pay on a chain lead to the same movements of money, so they share one space of names.
    """
    space = RailName.CRYPTO if rail is RailName.X402 else rail
    return f"{space.value}:{payment_id}"


def moved_to(order: Order, state: OrderState) -> Order:
    """The order in another state. Raise ArithmeticError, a defect, where no transition leads there."""
    if state is order.state:
        return order
    if state not in TRANSITIONS[order.state]:
        raise ArithmeticError(f"an order that is {order.state} cannot become {state}")
    return replace(order, state=state)


def flaw(order: Order | None, seen: Seen) -> Review | None:
    """Why this payment may not be granted, for a person to look at; None when it is the order's own.

    Whatever an event says, only the rail, amount and currency that the order froze are accepted, and one payment.
    """
    if seen.status is PaymentStatus.UNKNOWN:
        return _review(order, seen, "unknown_status", "a known status", seen.status_word)
    if seen.status is PaymentStatus.OTHER_MODE:
        return _review(order, seen, "wrong_mode", "a payment of this deployment's mode", seen.status_word)
    if seen.status is not PaymentStatus.PAID:
        return None
    if order is None:
        return _review(order, seen, "order_unknown", "an order", str(seen.order_id))
    if order.rail is not seen.rail:
        return _review(order, seen, "wrong_rail", order.rail, seen.rail)
    if seen.money is None or seen.money.currency != order.money.currency:
        return _review(order, seen, "wrong_currency", order.money.currency, seen.money.currency if seen.money else "")
    if seen.money.amount_minor != order.money.amount_minor:
        return _review(order, seen, "wrong_amount", str(order.money.amount_minor), str(seen.money.amount_minor))
    if order.payment_id is not None and order.payment_id != seen.payment_id:
        return _review(order, seen, "paid_twice", order.payment_id, str(seen.payment_id))
    return None


def advanced(order: Order, seen: Seen, *, at_ms: int) -> Order:
    """The order after a look at a payment that has no flaw. Nothing that was paid ever becomes unpaid again."""
    if order.state not in UNPAID:
        return order
    match seen.status:
        case PaymentStatus.PAID:
            return replace(moved_to(order, OrderState.PAID), payment_id=seen.payment_id, paid_at_ms=at_ms)
        case PaymentStatus.EXPIRED if order.state in (OrderState.CREATED, OrderState.PENDING):
            return moved_to(order, OrderState.EXPIRED)
        case PaymentStatus.FAILED if order.state in (OrderState.CREATED, OrderState.PENDING):
            return moved_to(order, OrderState.CANCELLED)
        case _:
            return order


def settled_state(order: Order) -> OrderState:
    """Where a paid order stands once its credits and reversals are posted."""
    if order.state in UNPAID or order.is_held:
        return order.state
    reversals = order.reversals.values()
    disputed = (r for r in reversals if r.kind is ReversalKind.DISPUTE and r.state is not ReversalState.RETURNED)
    if any(disputed):
        return OrderState.DISPUTED
    refunded = sum(
        r.amount_minor for r in reversals if r.kind is ReversalKind.REFUND and r.state is ReversalState.TAKEN
    )
    return OrderState.REFUNDED if refunded >= order.money.amount_minor else OrderState.GRANTED


def _review(order: Order | None, seen: Seen, reason: str, expected: str, found: str) -> Review:
    return Review(
        rail=seen.rail,
        reason=reason,
        subject=seen.payment_id or seen.order_id or "",
        order_id=order.order_id if order else seen.order_id,
        expected=expected,
        found=found,
    )
