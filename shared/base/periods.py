"""Days, weeks and months in UTC: when the one that a moment lies in began, and when the next begins."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum

from shared.base.economy import DAY_MS

_EPOCH_WEEKDAY = 3
"""The Unix epoch was a Thursday; weeks begin on Monday, as in ISO 8601."""


class Period(StrEnum):
    """How long a limit counts before it begins anew; `total` never does."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"


def period_start_ms(period: Period, at_ms: int) -> int:
    """The first millisecond of the period that `at_ms` lies in; the whole of time began at zero."""
    match period:
        case Period.DAY:
            return at_ms - at_ms % DAY_MS
        case Period.WEEK:
            day = at_ms // DAY_MS
            return (day - (day + _EPOCH_WEEKDAY) % 7) * DAY_MS
        case Period.MONTH:
            return _ms(_moment(at_ms).replace(day=1, hour=0, minute=0, second=0, microsecond=0))
        case Period.TOTAL:
            return 0


def period_end_ms(period: Period, at_ms: int) -> int | None:
    """When the next period begins; None for one that does not end."""
    start_ms = period_start_ms(period, at_ms)
    match period:
        case Period.DAY:
            return start_ms + DAY_MS
        case Period.WEEK:
            return start_ms + 7 * DAY_MS
        case Period.MONTH:
            # The 32nd day after a month's first lies in the next month, whatever the month's length.
            return period_start_ms(Period.MONTH, start_ms + 31 * DAY_MS)
        case Period.TOTAL:
            return None


def _moment(at_ms: int) -> datetime:
    # Not `fromtimestamp`, whose float would round.
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)


def _ms(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
