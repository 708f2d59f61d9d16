"""When a payout may go on, and what it is worth. Nothing here reads a clock or a store."""

import hashlib

from msgspec.structs import replace

from shared.base.economy import DAY_MS
from shared.base.ids import UserId
from shared.payouts.models import Payout, PayoutId, PayoutState, Standing

MINOR_NUMERATOR, MICROS_DENOMINATOR = 7, 10_000_000
"""0.70 US cents a credit: below the lowest price that one is sold at, so buying to be paid out always loses."""
CURRENCY = "USD"
AMOUNT_MINOR_MIN = 1_000
HOLD_MS = 7 * DAY_MS
COOLDOWN_MS = 3 * DAY_MS
"""After a change of bank details: who stole an account is found out before the money leaves."""

TRANSITIONS = {
    PayoutState.ACCRUED: {PayoutState.HELD, PayoutState.REFUSED},
    PayoutState.HELD: {PayoutState.RELEASABLE, PayoutState.REFUSED},
    PayoutState.RELEASABLE: {PayoutState.TRANSFERRING, PayoutState.HELD},
    PayoutState.TRANSFERRING: {PayoutState.PAID, PayoutState.FAILED},
    PayoutState.PAID: {PayoutState.FAILED, PayoutState.REVERSED},
    PayoutState.FAILED: {PayoutState.HELD, PayoutState.REVERSED},
    PayoutState.REVERSED: set(),
    PayoutState.REFUSED: set(),
}


def moved_to(payout: Payout, state: PayoutState) -> Payout:
    """The payout in another state. Raise ArithmeticError where no transition leads there."""
    if state not in TRANSITIONS[payout.state]:
        raise ArithmeticError(f"a payout does not go from {payout.state} to {state}")
    return replace(payout, state=state)


def payout_id_of(owner: UserId, key: str) -> PayoutId:
    """One payout for one request."""
    return PayoutId(hashlib.sha256(f"{owner}\n{key}".encode()).hexdigest()[:24])


def worth_minor(micros: int) -> int:
    """What credits are worth, rounded down."""
    return micros * MINOR_NUMERATOR // MICROS_DENOMINATOR


def cost_micros(amount_minor: int) -> int:
    """The fewest credits that are worth an amount; all beyond them stay with the earner."""
    return -(-amount_minor * MICROS_DENOMINATOR // MINOR_NUMERATOR)


def obstacle(standing: Standing) -> str | None:
    """What keeps an earner from being paid at all."""
    if standing.recipient is None or not standing.recipient.is_active:
        return "not_onboarded"
    if not standing.is_open:
        return "account_not_open"
    if standing.wallet_micros < 0 or standing.earned_micros < 0:
        return "negative_balance"
    if standing.is_disputed:
        return "dispute_open"
    return None


def wait(payout: Payout, standing: Standing, *, at_ms: int) -> str | None:
    """What a held payout still waits for."""
    if reason := obstacle(standing):
        return reason
    recipient = standing.recipient
    if recipient is None or recipient.destination != payout.destination:
        return "destination_changed"
    if payout.is_first and payout.approved_by is None:
        return "review"
    if at_ms < payout.asked_at_ms + HOLD_MS:
        return "hold"
    if at_ms < recipient.bank_changed_at_ms + COOLDOWN_MS:
        return "cooldown"
    return None
