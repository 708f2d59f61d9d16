"""Pure arithmetic of lots, holds, windows and splits. Nothing here reads a clock or a store."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from msgspec.structs import replace

from shared.base.economy import DAY_MS
from shared.base.ids import AccountId, HoldId
from shared.base.micros import AMOUNT_MICROS_MAX, split
from shared.ledger import allowances
from shared.ledger.errors import (
    AccountNotOpen,
    AmountWrong,
    CreditTooLow,
    HoldAbsent,
    HoldExceeded,
    PayeeNotDeferred,
    RateExceeded,
    SendLimitExceeded,
    SpendLimitReached,
    TooManyHolds,
    TransferRepeated,
)
from shared.ledger.models import (
    DEFERRED_CLASSES,
    Head,
    Hold,
    HoldLimits,
    Leg,
    Lot,
    LotChange,
    Origin,
    RateWindow,
    Sending,
    SendLimits,
    Share,
    Status,
    account_class,
)

LOTS_MAX = 32
"""Lots on one head. More are merged, because the head is rewritten with every posting."""
BALANCE_MICROS_MAX = 10**18
"""Nine times below what a signed 64-bit field holds."""
_NEVER_MS = 2**63


def check_amount(amount_micros: int) -> None:
    """Raise AmountWrong unless the amount is from 1 to AMOUNT_MICROS_MAX."""
    if not 0 < amount_micros <= AMOUNT_MICROS_MAX:
        raise AmountWrong(most_micros=AMOUNT_MICROS_MAX)


def check_may_spend(head: Head) -> None:
    """Raise AccountNotOpen unless credits may leave the account."""
    if head.status is not Status.OPEN:
        raise AccountNotOpen(head.status)


def check_may_receive(head: Head) -> None:
    """Raise AccountNotOpen once the account is closed; a frozen one still receives."""
    if head.status is Status.CLOSED:
        raise AccountNotOpen(head.status)


def check_deferred(account_id: AccountId) -> None:
    """Raise PayeeNotDeferred for an account that must be posted to at once: a leg alone would never reach it."""
    if account_class(account_id) not in DEFERRED_CLASSES:
        raise PayeeNotDeferred(account_id)


def live_holds(holds: Mapping[HoldId, Hold], at_ms: int) -> dict[HoldId, Hold]:
    """The holds that still count. Expiry costs nothing: the next write simply leaves the dead ones out."""
    return {hold_id: hold for hold_id, hold in holds.items() if hold.expires_at_ms > at_ms}


def held_micros(head: Head, at_ms: int) -> int:
    """What live holds set aside."""
    return sum(hold.amount_micros for hold in head.holds.values() if hold.expires_at_ms > at_ms)


def free_micros(head: Head, at_ms: int) -> int:
    """Lots not over by `at_ms`, nor when the newest live hold was placed, less what is held. Never below zero."""
    # A process whose clock is behind, or whose commit took long, may see credits alive that could not cover that hold.
    seen_ms = max([at_ms, *[hold.placed_at_ms for hold in live_holds(head.holds, at_ms).values()]])
    return max(0, alive_micros(head, seen_ms) - held_micros(head, at_ms))


def spendable_micros(head: Head, at_ms: int) -> int:
    """What a new debit or hold may take: what is free, within the account's allowance if it has one."""
    free, left = free_micros(head, at_ms), allowances.left_micros(head, held_micros(head, at_ms), at_ms)
    return free if left is None else min(free, left)


def alive_micros(head: Head, at_ms: int) -> int:
    """Lots not yet expired, less what is owed; held credits included."""
    return sum(lot.remaining_micros for lot in head.lots if _outlives(lot.expires_at_ms, at_ms))


def check_covers(head: Head, amount_micros: int, at_ms: int) -> None:
    """Raise CreditTooLow unless `amount_micros` can be spent at `at_ms`: SpendLimitReached if only a limit forbids."""
    if (spendable := spendable_micros(head, at_ms)) >= amount_micros:
        return
    if free_micros(head, at_ms) >= amount_micros:
        resets = allowances.resets_at_ms(head, at_ms)
        raise SpendLimitReached(needed_micros=amount_micros, spendable_micros=spendable, resets_at_ms=resets)
    raise CreditTooLow(needed_micros=amount_micros, spendable_micros=spendable)


def consume(lots: Sequence[Lot], amount_micros: int, *, valid_at_ms: int) -> list[LotChange]:
    """Take an amount from lots not expired at `valid_at_ms`: promo before paid, soonest expiry first.

    A capture passes the time its hold was placed, so credits that expire while a call runs still pay for it.
    """
    changes: list[LotChange] = []
    left = amount_micros
    for lot in sorted(_usable(lots, valid_at_ms), key=_spending_order):
        taken = min(left, lot.remaining_micros)
        if taken:
            changes.append(LotChange(lot.origin, lot.expires_at_ms, -taken))
            left -= taken
    if left:
        raise CreditTooLow(needed_micros=amount_micros, spendable_micros=amount_micros - left)
    return changes


def all_but(lots: Sequence[Lot], kept_micros: int, *, valid_at_ms: int) -> list[LotChange]:
    """Take what is usable, but leave `kept_micros` of those that would be spent first, for the holds on them."""
    changes: list[LotChange] = []
    left = kept_micros
    for lot in sorted(_usable(lots, valid_at_ms), key=_spending_order):
        kept = min(left, lot.remaining_micros)
        left -= kept
        if taken := lot.remaining_micros - kept:
            changes.append(LotChange(lot.origin, lot.expires_at_ms, -taken))
    return changes


def consume_or_owe(lots: Sequence[Lot], amount_micros: int, *, valid_at_ms: int) -> list[LotChange]:
    """Like `consume`; what the lots do not cover is owed, as paid credits that never expire."""
    covered_micros = min(amount_micros, usable_micros(lots, valid_at_ms))
    changes = consume(lots, covered_micros, valid_at_ms=valid_at_ms)
    if owed_micros := amount_micros - covered_micros:
        changes.append(LotChange(Origin.PAID, None, -owed_micros))
    return changes


def usable_micros(lots: Iterable[Lot], valid_at_ms: int) -> int:
    """What could be consumed of these lots: those that owe do not count."""
    return sum(lot.remaining_micros for lot in _usable(lots, valid_at_ms))


def apply_changes(lots: Iterable[Lot], changes: Iterable[LotChange], *, may_owe: bool = False) -> tuple[Lot, ...]:
    """Lots after changes, merged when alike, in a fixed order, without empty ones.

    Raise ArithmeticError when one falls below zero. With `may_owe` those that never expire may; a lot that owes
    already may always be paid back.
    """
    had: dict[tuple[Origin, int | None], int] = {}
    for lot in lots:
        had[lot.origin, lot.expires_at_ms] = lot.remaining_micros
    sums = had.copy()
    for change in changes:
        key = (change.origin, change.expires_at_ms)
        sums[key] = sums.get(key, 0) + change.delta_micros
    merged: list[Lot] = []
    for key, amount in sums.items():
        if amount < 0 and amount < had.get(key, 0) and not (may_owe and key[1] is None):
            raise ArithmeticError("a lot fell below zero")
        if amount:
            merged.append(Lot(key[0], key[1], amount))
    return tuple(merged if len(merged) < 2 else sorted(merged, key=_spending_order))


def changes_to_add(lots: Sequence[Lot], added: Sequence[LotChange], *, at_ms: int) -> list[LotChange]:
    """The changes that add credits and keep at most LOTS_MAX lots.

    When there would be more, the two neighbours of one origin whose expiries lie closest become one lot with the
    later expiry, so that the owner never loses time; an expired lot is never merged into a live one, which would bring
    it back to life. The merge is part of the changes, so a chain still folds exactly.
    """
    changes = list(added)
    after = apply_changes(lots, changes)
    if sum(lot.remaining_micros for lot in after) > BALANCE_MICROS_MAX:
        raise AmountWrong(most_micros=AMOUNT_MICROS_MAX)
    while len(after) > LOTS_MAX:
        sooner, later = min(
            (
                (a, b)
                for a, b in pairwise(after)
                if a.origin is b.origin and _outlives(a.expires_at_ms, at_ms) == _outlives(b.expires_at_ms, at_ms)
            ),
            key=lambda pair: _expiry(pair[1].expires_at_ms) - _expiry(pair[0].expires_at_ms),
        )
        changes.append(LotChange(sooner.origin, sooner.expires_at_ms, -sooner.remaining_micros))
        changes.append(LotChange(later.origin, later.expires_at_ms, sooner.remaining_micros))
        after = apply_changes(lots, changes)
    return changes


def legs_of(changes: Sequence[LotChange], shares: Sequence[Share]) -> tuple[Leg, ...]:
    """Split what was consumed among payees, each origin apart, so that promo credits stay promo wherever they go.

    Raise PayeeNotDeferred for an account that is not paid by settlement.
    """
    for share in shares:
        check_deferred(share.account_id)
    legs: list[Leg] = []
    for origin, amount_micros in by_origin(changes).items():
        parts = split(amount_micros, [share.weight for share in shares])
        legs.extend(Leg(share.account_id, origin, part) for share, part in zip(shares, parts, strict=True) if part)
    return tuple(legs)


def by_origin(changes: Iterable[LotChange]) -> dict[Origin, int]:
    """How much of each origin the changes consumed, as positive amounts."""
    sums: dict[Origin, int] = {}
    for change in changes:
        sums[change.origin] = sums.get(change.origin, 0) - change.delta_micros
    return {origin: amount for origin, amount in sums.items() if amount}


def place_hold(head: Head, hold: Hold, limits: HoldLimits) -> Head:
    """The head with one more hold. Raise TooManyHolds, RateExceeded or CreditTooLow."""
    at_ms = hold.placed_at_ms
    holds = live_holds(head.holds, at_ms)
    if len(holds) >= limits.open_max:
        raise TooManyHolds(open_max=limits.open_max)
    check_covers(head, hold.amount_micros, at_ms)
    window = _count_one(head.window, at_ms, limits)
    return replace(head, holds={**holds, hold.hold_id: hold}, window=window)


def take_hold(head: Head, hold_id: HoldId, at_ms: int) -> tuple[Head, Hold]:
    """The head without the hold, and the hold. Raise HoldAbsent when it is not live."""
    holds = live_holds(head.holds, at_ms)
    if hold_id not in holds:
        raise HoldAbsent
    hold = holds.pop(hold_id)
    return replace(head, holds=holds), hold


def count_sent(sending: Sending, to: AccountId, amount_micros: int, at_ms: int, limits: SendLimits) -> Sending:
    """Count a transfer to another person. Raise SendLimitExceeded."""
    day_start_ms = max(sending.day_start_ms, at_ms - at_ms % DAY_MS)
    sent_micros = sending.sent_micros if day_start_ms == sending.day_start_ms else 0
    if sent_micros + amount_micros > limits.per_day_micros_max:
        left_micros = max(0, limits.per_day_micros_max - sent_micros)
        raise SendLimitExceeded(left_micros=left_micros, retry_after_ms=max(0, day_start_ms + DAY_MS - at_ms))
    return Sending(day_start_ms, sent_micros + amount_micros, to, amount_micros, at_ms)


def check_not_repeated(sending: Sending, to: AccountId, amount_micros: int, at_ms: int, limits: SendLimits) -> None:
    """Raise TransferRepeated for what looks like the last transfer sent once more."""
    same = (sending.last_to, sending.last_micros) == (to, amount_micros)
    if same and at_ms < sending.last_at_ms + limits.repeat_window_ms:
        raise TransferRepeated(sent_at_ms=sending.last_at_ms)


def check_covers_paid(head: Head, amount_micros: int, at_ms: int) -> None:
    """Raise CreditTooLow unless paid credits cover the amount, whatever promotional ones there are besides."""
    paid_micros = usable_micros([lot for lot in head.lots if lot.origin is Origin.PAID], at_ms)
    spendable = min(paid_micros, spendable_micros(head, at_ms))
    if spendable < amount_micros:
        raise CreditTooLow(needed_micros=amount_micros, spendable_micros=spendable)


def check_within_hold(hold: Hold, amount_micros: int) -> None:
    """Raise HoldExceeded when a capture asks for more than was set aside."""
    if amount_micros > hold.amount_micros:
        raise HoldExceeded(held_micros=hold.amount_micros)


def _count_one(window: RateWindow, at_ms: int, limits: HoldLimits) -> RateWindow:
    """Count a hold in its window. A clock that steps back stays in the window it finds."""
    if at_ms >= window.start_ms + limits.window_ms:
        return RateWindow(start_ms=at_ms, count=1)
    if window.count >= limits.per_window_max:
        retry_after_ms = min(limits.window_ms, window.start_ms + limits.window_ms - at_ms)
        raise RateExceeded(
            per_window_max=limits.per_window_max, window_ms=limits.window_ms, retry_after_ms=retry_after_ms
        )
    return RateWindow(start_ms=window.start_ms, count=window.count + 1)


def _usable(lots: Iterable[Lot], valid_at_ms: int) -> list[Lot]:
    return [lot for lot in lots if lot.remaining_micros > 0 and _outlives(lot.expires_at_ms, valid_at_ms)]


def _outlives(expires_at_ms: int | None, at_ms: int) -> bool:
    return expires_at_ms is None or expires_at_ms > at_ms


def _expiry(expires_at_ms: int | None) -> int:
    return _NEVER_MS if expires_at_ms is None else expires_at_ms


def _spending_order(lot: Lot) -> tuple[bool, int]:
    return (lot.origin is Origin.PAID, _expiry(lot.expires_at_ms))
