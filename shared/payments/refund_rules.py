"""Pure decisions about refunds that somebody asks for. Each refusal has a word that is told and kept."""

from shared.base.economy import REFUND_WINDOW_MS
from shared.ledger.models import Head, Origin
from shared.ledger.rules import free_micros, usable_micros
from shared.payments.errors import RefundRefused
from shared.payments.models import Order, OrderState
from shared.payments.reversal_rules import left_of

REFUSALS = {
    "not_paid": "Only an order that is paid, and neither refunded nor disputed, can be given back.",
    "too_late": "The time in which this order could be given back is over.",
    "in_part": "A part of this order was given back; an operator can give back the rest.",
    "spent": "Credits of this order are spent, so it cannot be given back.",
    "asked_before": "This order was asked to be given back before, and that was refused.",
    "too_often": "You gave back as many orders as you may in a year; an operator can give back more.",
    "too_much": "This is more than is left of what was paid.",
    "provider_refused": "The payment provider refused the refund.",
}
"""Every reason for which a refund is refused, in words for who asked."""


def refused(reason: str) -> RefundRefused:
    """The refusal for one of the reasons."""
    return RefundRefused(reason, REFUSALS[reason])


def note_of(asked_minor: int | None, amount_minor: int, *, operator: str, reason: str) -> str:
    """What an order keeps of an operator's request: how much it is about, and whether that was all that was left."""
    return f"{'all ' if asked_minor is None else ''}{amount_minor} {operator}: {reason}"


def noted_minor(note: str) -> int:
    """How much a request is about that was kept."""
    return int(note.removeprefix("all ").partition(" ")[0])


def check_own(order: Order, wallet: Head, *, at_ms: int) -> None:
    """Whether a buyer may give the order back: soon, whole and untouched, bonus included. Raise RefundRefused.

    Credits are alike, so a wallet that has as many as the pack gave has not spent them.
    """
    if order.state is not OrderState.GRANTED or order.paid_at_ms is None:
        raise refused("not_paid")
    if at_ms > order.paid_at_ms + REFUND_WINDOW_MS:
        raise refused("too_late")
    if left_of(order)[0] != order.money.amount_minor:
        raise refused("in_part")
    paid_micros = usable_micros((lot for lot in wallet.lots if lot.origin is Origin.PAID), at_ms)
    if paid_micros < order.credits_micros or free_micros(wallet, at_ms) < order.credits_micros + order.bonus_micros:
        raise refused("spent")


def check_any(order: Order, amount_minor: int) -> None:
    """Whether an operator may give so much back, spent or not. Raise RefundRefused."""
    if order.state is not OrderState.GRANTED and not order.is_held:
        raise refused("not_paid")
    if amount_minor > left_of(order)[0]:
        raise refused("too_much")
