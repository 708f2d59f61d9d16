"""Pure decisions about what undoes a payment: how many credits are in question, and what becomes of them."""

from collections.abc import Iterable, Mapping
from itertools import count

from msgspec.structs import replace

from shared.base.economy import PACK_BONUS_LIFETIME_MS
from shared.payments.models import (
    DisputeSeen,
    Order,
    RefundSeen,
    Reversal,
    ReversalKind,
    ReversalState,
    Review,
    Seen,
)

_TAKEN = {"state": ReversalState.TAKEN, "was_taken": True}


def reversed_by(order: Order, seen: Seen, *, at_ms: int) -> Order:
    """The order with all refunds, disputes and warnings that the rail shows of its payment.

    In whatever order they are learned of: each one's amounts are frozen when it takes credits, and never does more than
    the whole pack go back. A bonus whose time is over stays out of it: whoever lost it must not owe it too.
    """
    reversals = dict(order.reversals)
    for refund in seen.refunds:
        _note(reversals, refund.refund_id, _after_refund(order, reversals, refund))
    for dispute in seen.disputes:
        _note(reversals, dispute.dispute_id, _after_dispute(order, reversals, dispute))
    for warning_id in seen.warnings:
        name = _standing(order, reversals, warning_id)
        _note(reversals, name, _after_warning(order, reversals, name))
    if order.paid_at_ms is not None and at_ms >= order.paid_at_ms + PACK_BONUS_LIFETIME_MS:
        reversals = {name: _without_bonus(order.reversals.get(name), after) for name, after in reversals.items()}
    return order if reversals == order.reversals else replace(order, reversals=reversals)


def doubts(order: Order, seen: Seen) -> list[Review]:
    """What of a payment's reversals a person must look at; the rest is decided without."""
    found = [
        _doubt(order, refund.refund_id, "unknown_refund_status", "a known one", refund.reason)
        for refund in seen.refunds
        if refund.is_made is None
    ]
    ended = [refund.refund_id for refund in seen.refunds if refund.is_made is False]
    ended += [dispute.dispute_id for dispute in seen.disputes if dispute.state is ReversalState.RETURNED]
    found += [
        _doubt(order, reversal_id, "taken_by_another", "credits back", "its money is gone")
        for reversal_id in ended
        if reversal_id in order.reversals and _stands_in(order, order.reversals, reversal_id)
    ]
    for dispute in seen.disputes:
        before = order.reversals.get(dispute.dispute_id)
        if dispute.state is None:
            found.append(_doubt(order, dispute.dispute_id, "unknown_dispute_status", "a known one", dispute.status))
        elif before and before.state is ReversalState.RETURNED and dispute.state is ReversalState.TAKEN:
            found.append(_doubt(order, dispute.dispute_id, "lost_after_won", "won", dispute.status))
        elif before is None and _left(order, order.reversals.values())[0] <= 0:
            found.append(_doubt(order, dispute.dispute_id, "disputed_after_refund", "credits", "none are left"))
        if dispute.money != order.money:
            shown = f"{dispute.money.amount_minor} {dispute.money.currency}"
            wanted = f"{order.money.amount_minor} {order.money.currency}"
            found.append(_doubt(order, dispute.dispute_id, "dispute_differs", wanted, shown))
    found += [_doubt(order, warning_id, "fraud_warning", "none", "a warning") for warning_id in seen.warnings]
    return found


def left_of(order: Order) -> tuple[int, int, int]:
    """Money, credits and bonus of an order that nothing has taken back."""
    return _left(order, order.reversals.values())


def has_refund(order: Order) -> bool:
    """Whether a refund was made."""
    return any(reversal.kind is ReversalKind.REFUND for reversal in order.reversals.values())


def _note(reversals: dict[str, Reversal], reversal_id: str, after: Reversal | None) -> None:
    if after is not None:
        reversals[reversal_id] = after


def _without_bonus(before: Reversal | None, after: Reversal) -> Reversal:
    """The reversal without a bonus, unless it took one before: that is frozen."""
    return after if before is not None and before.was_taken else replace(after, bonus_micros=0)


def _after_refund(order: Order, reversals: Mapping[str, Reversal], refund: RefundSeen) -> Reversal | None:
    before = reversals.get(refund.refund_id)
    if before is None:
        if not refund.is_made:
            return None
        taken = _part(order, reversals, refund.amount_minor)
        return replace(taken, kind=ReversalKind.REFUND, reason=refund.reason, **_TAKEN)
    if before.state is ReversalState.TAKEN and refund.is_made is False:
        return _returned(order, reversals, refund.refund_id)
    return before


def _after_dispute(order: Order, reversals: Mapping[str, Reversal], dispute: DisputeSeen) -> Reversal | None:
    before = reversals.get(dispute.dispute_id)
    money = dispute.money
    # Banks dispute in their own currency, and with fees on top. What is in another one is about the whole.
    amount_minor = money.amount_minor if money.currency == order.money.currency else order.money.amount_minor
    fresh = replace(_part(order, reversals, amount_minor), kind=ReversalKind.DISPUTE, reason=dispute.reason)
    match before.state if before else None, dispute.state:
        case None, ReversalState.OPEN | None:
            return replace(fresh, state=ReversalState.OPEN)
        case None, ReversalState.RETURNED:
            return replace(fresh, state=ReversalState.RETURNED)
        case ((None | ReversalState.OPEN), ReversalState.TAKEN):
            return replace(fresh, **_TAKEN)
        case ((ReversalState.OPEN | ReversalState.TAKEN), ReversalState.RETURNED):
            return _returned(order, reversals, dispute.dispute_id)
        case _:
            # Under appeal after it was lost, or lost after it was won: the one is no decision, the other a person's.
            return before


def _after_warning(order: Order, reversals: Mapping[str, Reversal], name: str) -> Reversal | None:
    before = reversals.get(name)
    state = ReversalState.RETURNED if _is_decided(order, reversals) else ReversalState.OPEN
    if before is None:
        return replace(_part(order, reversals, order.money.amount_minor), kind=ReversalKind.WARNING, state=state)
    return replace(before, state=state) if before.state is ReversalState.OPEN else before


def _standing(order: Order, reversals: Mapping[str, Reversal], warning_id: str) -> str:
    """Under which name a warning stands: under a new one each time that the refund which ended it has failed.

    The escrow account of the old one is closed, so that it takes nothing any more.
    """
    name = warning_id
    for again in count(2):
        following = f"{warning_id}-{again}"
        is_over = name in reversals and reversals[name].state is not ReversalState.OPEN
        if not is_over or (following not in reversals and _is_decided(order, reversals)):
            break
        name = following
    return name


def _is_decided(order: Order, reversals: Mapping[str, Reversal]) -> bool:
    """Whether nothing is left for a warning to warn of: a dispute has ended, or all the money went back."""
    others = [reversal for reversal in reversals.values() if reversal.kind is not ReversalKind.WARNING]
    disputes = [reversal for reversal in others if reversal.kind is ReversalKind.DISPUTE]
    return any(reversal.state is not ReversalState.OPEN for reversal in disputes) or _left(order, others)[0] <= 0


def _returned(order: Order, reversals: Mapping[str, Reversal], reversal_id: str) -> Reversal:
    """The reversal, given back; or left as it is while its credits stand for money that another one took."""
    before = reversals[reversal_id]
    is_kept = _stands_in(order, reversals, reversal_id)
    return before if is_kept else replace(before, state=ReversalState.RETURNED)


def _stands_in(order: Order, reversals: Mapping[str, Reversal], reversal_id: str) -> bool:
    """Whether another one took money and found its credits taken already, by this one.

    A refund fails after the dispute of the same payment was lost: the money is gone, so the credits must not come back.
    """
    if reversals[reversal_id].state is not ReversalState.TAKEN:
        return False
    others = [one for name, one in reversals.items() if name != reversal_id and one.state is ReversalState.TAKEN]
    gone_minor = min(order.money.amount_minor, sum(one.amount_minor for one in others))
    due_micros = order.credits_micros * gone_minor // order.money.amount_minor
    # Each of them may have been rounded down by a micro.
    return due_micros - sum(one.credits_micros for one in others) > len(others)


def _part(order: Order, reversals: Mapping[str, Reversal], amount_minor: int) -> Reversal:
    """What a part of the price bought, rounded in the buyer's favour; the last part is all that is left."""
    left_minor, left_credits, left_bonus = _left(order, reversals.values())
    if amount_minor >= left_minor:
        credits_micros, bonus_micros = left_credits, left_bonus
    else:
        credits_micros = order.credits_micros * amount_minor // order.money.amount_minor
        bonus_micros = order.bonus_micros * amount_minor // order.money.amount_minor
    return Reversal(
        kind=ReversalKind.REFUND,
        state=ReversalState.OPEN,
        credits_micros=credits_micros,
        bonus_micros=bonus_micros,
        amount_minor=amount_minor,
    )


def _left(order: Order, reversals: Iterable[Reversal]) -> tuple[int, int, int]:
    """Money, credits and bonus that nothing has taken back yet."""
    taken = [reversal for reversal in reversals if reversal.state is ReversalState.TAKEN]
    return (
        order.money.amount_minor - sum(reversal.amount_minor for reversal in taken),
        order.credits_micros - sum(reversal.credits_micros for reversal in taken),
        order.bonus_micros - sum(reversal.bonus_micros for reversal in taken),
    )


def _doubt(order: Order, subject: str, reason: str, expected: str, found: str) -> Review:
    return Review(
        rail=order.rail, reason=reason, subject=subject, order_id=order.order_id, expected=expected, found=found
    )
