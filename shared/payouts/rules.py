"""When a payout may go on, and what it is worth. Nothing here reads a clock or a store."""

import hashlib

from msgspec import Struct
from msgspec.structs import replace

from shared.base.economy import DAY_MS
from shared.base.ids import UserId
from shared.payments.models import RailName, Review
from shared.payouts.models import (
    Earned,
    Payout,
    PayoutId,
    PayoutState,
    Recipient,
    RecipientSeen,
    Standing,
    TransferSeen,
)

MINOR_NUMERATOR, MICROS_DENOMINATOR = 7, 10_000_000
"""0.70 US cents a credit: below the lowest price that one is sold at, so buying to be paid out always loses."""
CURRENCY = "USD"
AMOUNT_MINOR_MIN = 1_000
HOLD_MS = 7 * DAY_MS
"""From when credits were earned until they may leave: most stolen cards are found out in a week."""
COOLDOWN_MS = 3 * DAY_MS
"""After a change of bank details: who stole an account is found out before the money leaves."""
RETRY_MS = DAY_MS
"""After the provider or the bank refused. By then keys are forgotten, and what was asked is looked for by its group."""
ATTEMPTS_MAX = 10
"""Then a person decides, who may allow as many again."""
QUIET_MS = 10 * 60_000
"""After a refusal until credits go back: far longer than a request that was given up could still be on its way."""
LOOK_MS, LOOK_PAID_MS = 60 * 60_000, DAY_MS
"""Between two looks of the timer. The provider tells of changes at once; this is for when it could not."""
WATCH_MS = 10 * DAY_MS
"""Banks send money back up to five days after they took it."""


class Waits(Struct, frozen=True):
    """How long things wait; in production always as long as here."""

    hold_ms: int = HOLD_MS
    cooldown_ms: int = COOLDOWN_MS


TRANSITIONS = {
    PayoutState.ACCRUED: {PayoutState.HELD, PayoutState.REFUSED},
    PayoutState.HELD: {PayoutState.RELEASABLE, PayoutState.REFUSED, PayoutState.REVERSED},
    PayoutState.RELEASABLE: {PayoutState.TRANSFERRING, PayoutState.HELD},
    PayoutState.TRANSFERRING: {PayoutState.PAID, PayoutState.FAILED, PayoutState.REVERSED},
    PayoutState.PAID: {PayoutState.FAILED, PayoutState.REVERSED},
    PayoutState.FAILED: {PayoutState.HELD, PayoutState.REVERSED},
    PayoutState.REVERSED: set(),
    PayoutState.REFUSED: set(),
}
REVIEW, ATTEMPTS_USED = "review", "attempts_used"
FOR_A_PERSON = (REVIEW, ATTEMPTS_USED)
"""What a payout waits for until somebody decides of it."""
OVER = frozenset({PayoutState.REVERSED, PayoutState.REFUSED})
"""The earner has the credits again, or never gave them."""
NOT_EARNED = "not_earned"
"""Why a payout is refused whose credits were never taken."""


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
    recipient = standing.recipient
    if recipient is None or not recipient.is_active or recipient.bank is None:
        return "not_onboarded"
    if not standing.is_open:
        return "account_not_open"
    if standing.wallet_micros < 0 or standing.earned_micros < 0:
        return "negative_balance"
    if standing.is_disputed:
        return "dispute_open"
    return None


def wait(payout: Payout, standing: Standing, *, at_ms: int, waits: Waits) -> str | None:
    """What a held payout still waits for."""
    if payout.is_recalled:
        return "recalled"
    if reason := obstacle(standing):
        return reason
    recipient = standing.recipient
    if recipient is None or recipient.destination != payout.destination:
        return "destination_changed"
    if payout.is_first and payout.approved_by is None:
        return REVIEW
    if payout.attempt > ATTEMPTS_MAX + payout.attempts_granted:
        return ATTEMPTS_USED
    if at_ms < payout.hold_until_ms:
        return "hold"
    if at_ms < recipient.bank_changed_at_ms + waits.cooldown_ms:
        return "cooldown"
    return None


def hold_until_ms(payout: Payout, earned: Earned, waits: Waits) -> int:
    """When the credits of a payout are old enough. `earned` is of after they were taken.

    What is left covers all that came in lately: then only older ones were taken. In any other case some may be young,
    and all of them are old once the hold is over, since they were there when it was asked for.
    """
    if earned.fresh_micros is not None and earned.paid_micros >= earned.fresh_micros:
        return payout.asked_at_ms
    return payout.asked_at_ms + waits.hold_ms


def is_approval_awaited(payout: Payout) -> bool:
    """Whether letting the payout go on would change anything."""
    return payout.approved_by is None or payout.waits_for == ATTEMPTS_USED


def approved(payout: Payout, *, operator: str, reason: str) -> Payout:
    """The payout that a person let go on. One that was tried too often may be tried as often again."""
    granted = payout.attempts_granted + (ATTEMPTS_MAX if payout.waits_for == ATTEMPTS_USED else 0)
    return replace(payout, approved_by=operator, reason=reason, waits_for="", attempts_granted=granted)


def refused(payout: Payout, reason: str) -> Payout:
    """The payout, never to be sent."""
    return replace(moved_to(payout, PayoutState.REFUSED), reason=reason)


def failed(payout: Payout, reason: str, *, at_ms: int) -> Payout:
    """The payout, refused by the provider or sent back by the bank."""
    return replace(moved_to(payout, PayoutState.FAILED), reason=reason, failed_at_ms=at_ms)


def reopened(payout: Payout) -> Payout:
    """A failed payout, held for another attempt."""
    until_ms = max(payout.hold_until_ms, (payout.failed_at_ms or 0) + RETRY_MS)
    held = moved_to(payout, PayoutState.HELD)
    return replace(held, attempt=payout.attempt + 1, hold_until_ms=until_ms, arrival_id=None, paid_at_ms=None)


def partly_reversed(payout: Payout, transfer: TransferSeen) -> Review:
    """What a person is asked when a part of a transfer came back: neither all credits nor none belong to the earner."""
    return _review(payout, transfer, "payout_partly_reversed", f"{transfer.reversed_minor} came back")


def not_fetched(payout: Payout, transfer: TransferSeen, code: str) -> Review:
    """What a person is asked when a payout is to be refused whose money the recipient no longer has."""
    return _review(payout, transfer, "payout_not_fetched", code)


def _review(payout: Payout, transfer: TransferSeen, reason: str, found: str) -> Review:
    return Review(
        rail=RailName.STRIPE,
        reason=reason,
        subject=payout.payout_id,
        order_id=None,
        expected=f"{transfer.transfer_id}: {transfer.amount_minor} {payout.currency}, all or nothing",
        found=found,
    )


def may_be_under_way(payout: Payout, *, at_ms: int) -> bool:
    """Whether a request of an attempt that failed could still reach the provider."""
    return payout.failed_at_ms is not None and at_ms < payout.failed_at_ms + QUIET_MS


def next_look_ms(payout: Payout, *, at_ms: int) -> int | None:
    """When the timer is to look at a payout again. None: never more."""
    if payout.state in OVER:
        return None
    if payout.state is PayoutState.PAID:
        is_settled = at_ms >= (payout.paid_at_ms or 0) + WATCH_MS
        return None if is_settled else at_ms + LOOK_PAID_MS
    return at_ms + LOOK_MS


def recipient_after(before: Recipient, seen: RecipientSeen, *, at_ms: int) -> Recipient:
    """The recipient after a look. Another bank account starts the cooldown, and so does the first one."""
    after = replace(before, is_active=seen.is_active, bank=seen.bank)
    return replace(after, bank_changed_at_ms=at_ms) if seen.bank != before.bank else after
