"""Pure decisions about purchases that wait for a person before their credits reach the wallet."""

from msgspec.structs import replace

from shared.base.ids import AccountId
from shared.payments.models import Hold, HoldState, Order, Review
from shared.payments.reversal_rules import left_of

_FOUND = {"card_shared": "one of others' too", "card_fraud": "one that a bank called stolen"}


def held_for(order: Order, reason: str) -> Order:
    """The order with its credits put aside. What is written is frozen: they are granted there or not at all."""
    escrow_id = AccountId(f"escrow:hold-{order.rail.value}-{order.payment_id}")
    return replace(order, hold=Hold(reason=reason, escrow_id=escrow_id))


def let_go(order: Order) -> Order:
    """The order whose credits are its buyer's, to keep or to lose like any others."""
    return replace(order, hold=replace(order.hold, state=HoldState.ENDED)) if order.hold else order


def unheld_when_gone(order: Order) -> Order:
    """Nothing waits of what was given back or lost whole: it passes through the wallet, and is taken there."""
    return let_go(order) if order.is_held and left_of(order)[1] <= 0 else order


def review_of(order: Order) -> Review:
    """What a person is asked of a held purchase. Its name follows from the order, so whoever releases the order finds
    the question too."""
    reason = order.hold.reason if order.hold else ""
    return Review(
        rail=order.rail,
        reason=reason,
        subject=str(order.payment_id),
        order_id=order.order_id,
        expected="a card of the buyer's own",
        found=_FOUND.get(reason, "one that was tried too often"),
    )
