"""What one person may send another: paid credits, so many a day, and nothing twice by a second click."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.base.ids import HoldId
from shared.ledger.errors import CreditTooLow, SendLimitExceeded, TransferRepeated
from shared.ledger.models import Head, Hold, Lot, Origin, Sending, SendLimits
from shared.ledger.rules import check_covers_paid, check_not_repeated, count_sent
from tests.ledger.builders import ADA, BEN, CLARA, DAY, NOW

LIMITS = SendLimits(per_day_micros_max=100, repeat_window_ms=1_000)
MIDNIGHT = NOW - NOW % DAY
SENT = Sending(MIDNIGHT, sent_micros=60, last_to=BEN, last_micros=60, last_at_ms=NOW)


def test_what_is_sent_is_counted_and_remembered() -> None:
    assert count_sent(Sending(), BEN, 60, NOW, LIMITS) == SENT
    assert count_sent(SENT, CLARA, 40, NOW + 1, LIMITS) == Sending(MIDNIGHT, 100, CLARA, 40, NOW + 1)


def test_not_a_micro_goes_beyond_the_day() -> None:
    """The refusal says how much may still go, and when more may: at the next midnight, UTC."""
    with pytest.raises(SendLimitExceeded) as caught:
        count_sent(SENT, BEN, 41, MIDNIGHT + DAY - 1, LIMITS)

    assert (caught.value.left_micros, caught.value.retry_after_ms) == (40, 1)


def test_a_limit_that_was_lowered_leaves_nothing_and_no_less() -> None:
    with pytest.raises(SendLimitExceeded) as caught:
        count_sent(SENT, BEN, 1, NOW, SendLimits(per_day_micros_max=50, repeat_window_ms=0))

    assert caught.value.left_micros == 0


def test_a_day_begins_with_nothing_sent() -> None:
    tomorrow = MIDNIGHT + DAY

    assert count_sent(SENT, BEN, 100, tomorrow, LIMITS) == Sending(tomorrow, 100, BEN, 100, tomorrow)


def test_a_clock_that_steps_back_stays_in_the_day_it_finds() -> None:
    """Counted anew, the day before would be a second allowance."""
    back = MIDNIGHT - 5

    with pytest.raises(SendLimitExceeded) as caught:
        count_sent(SENT, BEN, 41, back, LIMITS)

    assert caught.value.retry_after_ms == DAY + 5
    assert count_sent(SENT, BEN, 40, back, LIMITS).day_start_ms == MIDNIGHT


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(-DAY, DAY)), max_size=30))
def test_no_day_carries_more_than_it_may(script: list[tuple[int, int]]) -> None:
    """However the clock moves."""
    sending, at_ms, sent = Sending(), NOW, dict[int, int]()
    for amount, step in script:
        at_ms += step
        try:
            sending = count_sent(sending, BEN, amount, at_ms, LIMITS)
        except SendLimitExceeded:
            continue
        sent[sending.day_start_ms] = sent.get(sending.day_start_ms, 0) + amount

    assert all(amount <= LIMITS.per_day_micros_max for amount in sent.values())
    assert all(day_start_ms % DAY == 0 for day_start_ms in sent)


def test_the_same_to_the_same_person_is_a_second_click_for_a_while() -> None:
    """It is refused until the window has passed, and only when person and amount are both the same."""
    last = NOW + LIMITS.repeat_window_ms - 1

    with pytest.raises(TransferRepeated) as caught:
        check_not_repeated(SENT, BEN, 60, last, LIMITS)

    assert caught.value.sent_at_ms == NOW
    check_not_repeated(SENT, BEN, 60, last + 1, LIMITS)
    check_not_repeated(SENT, BEN, 59, last, LIMITS)
    check_not_repeated(SENT, CLARA, 60, last, LIMITS)


def test_only_paid_credits_can_be_sent() -> None:
    head = Head(ADA, lots=(Lot(Origin.PROMO, None, 50), Lot(Origin.PAID, NOW, 7), Lot(Origin.PAID, None, 30)))

    check_covers_paid(head, 30, NOW)
    with pytest.raises(CreditTooLow) as caught:
        check_covers_paid(head, 31, NOW)
    assert (caught.value.needed_micros, caught.value.spendable_micros) == (31, 30)


def test_what_is_held_can_not_be_sent() -> None:
    """A hold may be paid from credits of either origin, so all that it leaves may go, if it was paid for."""
    held = {HoldId("hold"): Hold(HoldId("hold"), 60, NOW, NOW + DAY)}
    head = Head(ADA, lots=(Lot(Origin.PROMO, None, 50), Lot(Origin.PAID, None, 30)), holds=held)

    check_covers_paid(head, 20, NOW)
    with pytest.raises(CreditTooLow) as caught:
        check_covers_paid(head, 21, NOW)
    assert caught.value.spendable_micros == 20
