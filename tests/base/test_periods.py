"""Days, weeks and months in UTC, against the calendar of Python's own library."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.base.periods import Period, period_end_ms, period_start_ms

ENDING = [Period.DAY, Period.WEEK, Period.MONTH]
moments = st.integers(0, 4_102_444_800_000)
"""From the epoch to the year 2100."""


def at(ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@given(moments)
def test_a_period_begins_where_the_calendar_says(moment: int) -> None:
    """At midnight; a week on Monday, a month on its first."""
    day, week, month = (at(period_start_ms(period, moment)) for period in ENDING)

    assert all(start == start.replace(hour=0, minute=0, second=0, microsecond=0) for start in (day, week, month))
    assert day.date() == at(moment).date()
    assert (week.weekday(), week.isocalendar()[:2]) == (0, at(moment).isocalendar()[:2])
    assert (month.day, month.month, month.year) == (1, at(moment).month, at(moment).year)


@given(moments, st.sampled_from(ENDING))
def test_periods_follow_each_other_without_gap_or_overlap(moment: int, period: Period) -> None:
    """The moment lies in its period, whose end is the start of the next; the last millisecond still belongs to it."""
    start, end = period_start_ms(period, moment), period_end_ms(period, moment)

    assert end is not None
    assert start <= moment < end
    assert period_start_ms(period, start) == period_start_ms(period, end - 1) == start
    assert period_start_ms(period, end) == end


@given(moments, moments, st.sampled_from(list(Period)))
def test_later_moments_lie_in_no_earlier_period(one: int, other: int, period: Period) -> None:
    """What a limit counts never goes back."""
    assert period_start_ms(period, min(one, other)) <= period_start_ms(period, max(one, other))


@pytest.mark.parametrize(
    ("moment", "end"),
    [
        ("2024-02-15T12:00:00", "2024-03-01T00:00:00"),
        ("2024-02-29T23:59:59.999", "2024-03-01T00:00:00"),
        ("2025-02-28T23:59:59.999", "2025-03-01T00:00:00"),
        ("2025-12-31T23:59:59.999", "2026-01-01T00:00:00"),
        ("2026-01-01T00:00:00", "2026-02-01T00:00:00"),
    ],
)
def test_months_have_their_own_lengths(moment: str, end: str) -> None:
    assert period_end_ms(Period.MONTH, ms(moment)) == ms(end)


@given(moments)
def test_the_whole_of_time_does_not_end(moment: int) -> None:
    assert (period_start_ms(Period.TOTAL, moment), period_end_ms(Period.TOTAL, moment)) == (0, None)
