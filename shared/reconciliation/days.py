"""Days in UTC by name, as settlement counts them: `2026-11-25`."""

from datetime import UTC, date, datetime, timedelta

from shared.base.economy import DAY_MS
from shared.reconciliation.errors import RangeWrong

DAYS_MAX = 366
"""Of one report."""


def day_of(at_ms: int) -> str:
    """The day that a moment lies in."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).date().isoformat()


def start_ms(day: str) -> int:
    """Its first millisecond."""
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1000


def end_ms(day: str) -> int:
    """The first millisecond of the next one."""
    return start_ms(day) + DAY_MS


def moved(day: str, days: int) -> str:
    """The day so many days later, or earlier."""
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()


def between(first: str, last: str) -> list[str]:
    """All days from the first to the last, both included; none when that is before."""
    return [moved(first, number) for number in range((date.fromisoformat(last) - date.fromisoformat(first)).days + 1)]


def checked(day: str, *, now_ms: int) -> str:
    """A day that is over, as a caller named it. Raise RangeWrong."""
    if _parsed(day) >= _parsed(day_of(now_ms)):
        raise RangeWrong
    return day


def range_of(month: str | None, first: str | None, last: str | None) -> tuple[str, str]:
    """The first and the last day that a caller asks for, by month or by days. Raise RangeWrong."""
    if month is not None:
        if first is not None or last is not None:
            raise RangeWrong
        begins = _parsed(f"{month}-01")
        # The 32nd day after a month's first lies in the next month, whatever the month's length.
        return begins.isoformat(), ((begins + timedelta(days=31)).replace(day=1) - timedelta(days=1)).isoformat()
    if first is None or last is None:
        raise RangeWrong
    if not 0 <= (_parsed(last) - _parsed(first)).days < DAYS_MAX:
        raise RangeWrong
    return first, last


def _parsed(day: str) -> date:
    try:
        return date.fromisoformat(day)
    except ValueError:
        raise RangeWrong from None
