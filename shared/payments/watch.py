"""What a look at a payment tells of who pays: declined cards, shared ones, stolen ones; and what is done about it.

All of it is noted before the order is written. If we die in between, the next look notes the same again.
"""

from typing import Protocol, runtime_checkable

from msgspec.structs import replace

from shared.base.log import write_line
from shared.payments import hold_rules, rules
from shared.payments.models import Order, OrderState, PaymentId, ReversalKind, ReversalState, Seen
from shared.risk.limits import DECLINES_PER_CHECKOUT_MAX
from shared.risk.models import Subject
from shared.risk.service import Risk

_OUTCOMES = {
    ReversalState.OPEN: "unspent credits set aside",
    ReversalState.TAKEN: "credits taken back",
    ReversalState.RETURNED: "credits returned",
}
"""What a decision about a purchase says was done."""


@runtime_checkable
class ClosingRail(Protocol):
    """A rail on whose page a buyer may try one card after the other, until it is closed."""

    async def close(self, order: Order) -> None:
        """Let nobody pay the order any more. One that is paid or closed already stays as it is."""


async def watched(risk: Risk, rail: object, before: Order, after: Order, seen: Seen) -> Order:
    """The order after a look, with what its buyer's history says of it. Raise RiskUnavailable or RiskBusy."""
    if len(seen.declines) > before.declines:
        await risk.count_declines(before.order_id, before.owner, {one.decline_id: one.card for one in seen.declines})
        after = replace(after, declines=len(seen.declines))
    if len(seen.declines) >= DECLINES_PER_CHECKOUT_MAX and after.state in (OrderState.CREATED, OrderState.PENDING):
        await _close(risk, rail, after)
    if seen.card is not None and _is_paid_now(before, after):
        payment = rules.payment_name(after.rail, PaymentId(str(after.payment_id)))
        doubt = await risk.doubt_of_card(after.owner, seen.card, payment)
        if doubt is not None:
            after = hold_rules.held_for(after, doubt)
            await risk.note(subject_of(after), after.owner, rule=doubt, outcome="set aside")
    for reversal_id, reversal in after.reversals.items():
        known = before.reversals.get(reversal_id)
        if known is not None and known.state is reversal.state:
            continue
        if reversal.kind is not ReversalKind.REFUND and reversal.state is not ReversalState.RETURNED:
            await _suspect(risk, seen, reversal_id)
        rule, outcome = f"{reversal.kind.value}_{reversal.state.value}", _OUTCOMES[reversal.state]
        await risk.note(subject_of(after), after.owner, rule=rule, outcome=outcome, cause=reversal_id)
    return hold_rules.unheld_when_gone(after)


def subject_of(order: Order) -> Subject:
    """Under what the decisions about an order are kept."""
    return Subject(f"order:{order.order_id}")


def _is_paid_now(before: Order, after: Order) -> bool:
    return before.state in rules.UNPAID and after.state is OrderState.PAID


async def _suspect(risk: Risk, seen: Seen, cause: str) -> None:
    if seen.card is not None:
        await risk.note_fraud(seen.card, cause)


async def _close(risk: Risk, rail: object, order: Order) -> None:
    if isinstance(rail, ClosingRail) and order.checkout is not None:
        await rail.close(order)
        write_line("WARNING", "checkout_closed", order=order.order_id, declines=order.declines)
        await risk.note(subject_of(order), order.owner, rule="checkout_declines", outcome="checkout closed")
