"""Where the rules draw their lines, to the micro and the millisecond, and what a refusal says of them."""

import pytest

from shared.base.ids import HoldId
from shared.ledger.errors import CreditTooLow, RateExceeded
from shared.ledger.models import Head, Hold, HoldLimits, Lot, LotChange, Origin, RateWindow
from shared.ledger.rules import (
    BALANCE_MICROS_MAX,
    LOTS_MAX,
    apply_changes,
    changes_to_add,
    check_covers,
    consume,
    consume_or_owe,
    place_hold,
    usable_micros,
)
from tests.ledger.builders import ADA, NOW

RATE = HoldLimits(open_max=1_000, window_ms=1_000, per_window_max=2)
RICH = Head(ADA, lots=(Lot(Origin.PAID, None, 100),))


def placed(window: RateWindow, at_ms: int) -> Head:
    """An account with that window, once it has placed one more hold."""
    head = Head(ADA, lots=RICH.lots, window=window)
    return place_hold(head, Hold(HoldId("hold"), 1, at_ms, at_ms + 1), RATE)


def promo(*expiries_ms: int | None) -> tuple[Lot, ...]:
    return tuple(Lot(Origin.PROMO, at_ms, 1) for at_ms in expiries_ms)


def test_a_head_stays_small_and_a_balance_far_below_a_64_bit_field() -> None:
    assert LOTS_MAX == 32
    assert 9 * BALANCE_MICROS_MAX < 2**63 < 10 * BALANCE_MICROS_MAX
    assert BALANCE_MICROS_MAX == 10**18


def test_never_is_later_than_any_moment_that_can_be_stored() -> None:
    last_ms = 2**63 - 1

    assert consume(promo(None, last_ms), 1, valid_at_ms=NOW) == [LotChange(Origin.PROMO, last_ms, -1)]


def test_a_window_ends_to_the_millisecond() -> None:
    full = RateWindow(NOW, RATE.per_window_max)

    assert placed(RateWindow(NOW, 1), NOW + 999).window == full
    assert placed(full, NOW + 1_000).window == RateWindow(NOW + 1_000, 1)
    with pytest.raises(RateExceeded):
        placed(full, NOW + 999)


@pytest.mark.parametrize(("after_ms", "wait_ms"), [(0, 1_000), (1, 999), (999, 1), (-1, 1_000), (-50_000, 1_000)])
def test_a_rate_refused_says_when_to_come_back(after_ms: int, wait_ms: int) -> None:
    """For a clock that steps back it is never longer than a whole window."""
    with pytest.raises(RateExceeded) as caught:
        placed(RateWindow(NOW, RATE.per_window_max), NOW + after_ms)

    assert caught.value.retry_after_ms == wait_ms


def test_credits_too_low_are_told_with_what_there_is() -> None:
    with pytest.raises(CreditTooLow) as caught:
        check_covers(RICH, 101, NOW)
    assert (caught.value.needed_micros, caught.value.spendable_micros) == (101, 100)

    with pytest.raises(CreditTooLow) as caught:
        consume(promo(NOW, NOW + 1, None), 3, valid_at_ms=NOW)
    assert (caught.value.needed_micros, caught.value.spendable_micros) == (3, 2)


def test_what_lots_do_not_cover_is_owed_and_nothing_else_is() -> None:
    lots = (*promo(NOW + 1), Lot(Origin.PAID, None, 5))

    assert consume_or_owe(lots, 6, valid_at_ms=NOW) == consume(lots, 6, valid_at_ms=NOW)
    assert consume_or_owe(lots, 8, valid_at_ms=NOW)[-1] == LotChange(Origin.PAID, None, -2)
    assert usable_micros((Lot(Origin.PAID, None, -5), *promo(NOW + 1)), NOW) == 1


def test_only_a_lot_that_never_expires_may_owe() -> None:
    owing = apply_changes((), [LotChange(Origin.PAID, None, -1)], may_owe=True)

    assert owing == (Lot(Origin.PAID, None, -1),)
    for change, may_owe in (
        (LotChange(Origin.PAID, None, -1), False),
        (LotChange(Origin.PAID, NOW, -1), True),
        (LotChange(Origin.PROMO, NOW, -1), False),
    ):
        with pytest.raises(ArithmeticError):
            apply_changes((), [change], may_owe=may_owe)


def test_a_debt_may_be_paid_back_in_part_and_not_grow() -> None:
    owing = (Lot(Origin.PAID, None, -10),)

    assert apply_changes(owing, [LotChange(Origin.PAID, None, 4)]) == (Lot(Origin.PAID, None, -6),)
    assert apply_changes(owing, []) == owing
    with pytest.raises(ArithmeticError):
        apply_changes(owing, [LotChange(Origin.PAID, None, -1)])


def test_lots_that_expire_closest_together_become_one() -> None:
    """The sooner of the two moves to the later one's expiry, and no other lot is touched."""
    expiries = [NOW + 1_000 * number for number in range(1, LOTS_MAX)]
    lots = promo(*expiries, NOW + 1_000 * 5 + 400)
    last = LotChange(Origin.PROMO, None, 7)

    changes = changes_to_add(apply_changes(lots, []), [last], at_ms=NOW)

    assert changes == [
        last,
        LotChange(Origin.PROMO, NOW + 5_000, -1),
        LotChange(Origin.PROMO, NOW + 5_400, 1),
    ]


def test_as_many_lots_as_there_may_be_stay_apart() -> None:
    lots = promo(*(NOW + number for number in range(1, LOTS_MAX)))
    last = LotChange(Origin.PROMO, None, 1)

    assert changes_to_add(lots, [last], at_ms=NOW) == [last]
    assert len(changes_to_add(lots, [last, LotChange(Origin.PAID, None, 1)], at_ms=NOW)) == 4


def test_lots_of_different_origin_never_become_one() -> None:
    """Though they may be neighbours and expire together: paid credits would turn into a gift, or a gift into money."""
    paid = [LotChange(Origin.PAID, NOW + 10**6, 1), LotChange(Origin.PAID, NOW + 2 * 10**6, 1)]
    lots = promo(*(NOW + 1_000 * number for number in range(1, LOTS_MAX)), NOW + 10**6)

    after = apply_changes(lots, changes_to_add(lots, paid, at_ms=NOW))

    assert [lot for lot in after if lot.origin is Origin.PAID] == [
        Lot(Origin.PAID, change.expires_at_ms, change.delta_micros) for change in paid
    ]
