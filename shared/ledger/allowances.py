"""Pure arithmetic of spending limits: what an account spent in a period, and what its limit leaves."""

from msgspec.structs import replace

from shared.base.periods import Period, period_end_ms, period_start_ms
from shared.ledger.models import Allowance, Head, SpendLimit


def used_micros(head: Head, period: Period, at_ms: int) -> int:
    """What the account has spent in the period that `at_ms` lies in; zero where it keeps no count."""
    if period is Period.TOTAL:
        return head.spent_micros
    return counted_micros(head.allowance, period, at_ms) if head.allowance else 0


def left_micros(head: Head, held_micros: int, at_ms: int) -> int | None:
    """What the limit leaves, as if all that is held were spent; None without a limit.

    A hold counts in the period in which it is looked at, and its capture in the one in which it is made. So whatever
    crosses from one period into the next counts in the next, and in neither does more than the limit get spent.
    """
    allowance = head.allowance
    if allowance is None or allowance.limit is None:
        return None
    limit = allowance.limit
    return max(0, limit.amount_micros - used_micros(head, limit.period, at_ms) - held_micros)


def resets_at_ms(head: Head, at_ms: int) -> int | None:
    """When the limit counts anew; None when it never does, or there is none."""
    limit = head.allowance.limit if head.allowance else None
    return limit_resets_at_ms(limit, at_ms) if limit else None


def limit_resets_at_ms(limit: SpendLimit, at_ms: int) -> int | None:
    """When this limit counts anew; None when it never does."""
    return period_end_ms(limit.period, at_ms)


def count_spent(allowance: Allowance | None, spent_micros: int, at_ms: int) -> Allowance | None:
    """Count a charge. A refund brings back credits and not the period's allowance: it may undo what an earlier one
    spent. A clock that steps back stays in the periods it finds.
    """
    if allowance is None or spent_micros <= 0:
        return allowance
    at_ms = max(at_ms, allowance.counted_at_ms)
    return replace(
        allowance,
        counted_at_ms=at_ms,
        day_micros=counted_micros(allowance, Period.DAY, at_ms) + spent_micros,
        week_micros=counted_micros(allowance, Period.WEEK, at_ms) + spent_micros,
        month_micros=counted_micros(allowance, Period.MONTH, at_ms) + spent_micros,
    )


def uncount(allowance: Allowance, micros: int, *, spent_at_ms: int, at_ms: int) -> Allowance:
    """Count less by what was set aside at `spent_at_ms` and was not needed: in those periods of then that still run."""

    def left(period: Period) -> int:
        counted = counted_micros(allowance, period, allowance.counted_at_ms)
        same = period_start_ms(period, spent_at_ms) == period_start_ms(period, allowance.counted_at_ms)
        return max(0, counted - micros) if same else counted

    return replace(
        allowance,
        day_micros=left(Period.DAY),
        week_micros=left(Period.WEEK),
        month_micros=left(Period.MONTH),
    )


def counted_micros(allowance: Allowance, period: Period, at_ms: int) -> int:
    """What was counted in a day, week or month that `at_ms` lies in."""
    counts = {
        Period.DAY: allowance.day_micros,
        Period.WEEK: allowance.week_micros,
        Period.MONTH: allowance.month_micros,
    }
    return counts[period] if period_start_ms(period, at_ms) <= allowance.counted_at_ms else 0
