"""How often is too often: every limit of the package, in one place."""

from msgspec import Struct

from shared.base.economy import DAY_MS
from shared.risk.models import MarkSort, SignalKind

HOUR_MS = 3_600_000


class Limit(Struct, frozen=True):
    """So many marks of a sort within the last so many milliseconds; one more is refused."""

    sort: MarkSort
    marks_max: int
    window_ms: int


CHECKOUT_LIMITS: dict[SignalKind, tuple[Limit, ...]] = {
    # Nobody buys more often than this by hand, and a pack of 0.99 is what stolen cards are tried on.
    SignalKind.USER: (
        Limit(MarkSort.ORDER, 10, HOUR_MS),
        Limit(MarkSort.ORDER, 30, DAY_MS),
        Limit(MarkSort.DECLINE, 5, HOUR_MS),
        Limit(MarkSort.DECLINE, 10, DAY_MS),
    ),
    SignalKind.DEVICE: (
        Limit(MarkSort.ORDER, 10, HOUR_MS),
        Limit(MarkSort.ORDER, 30, DAY_MS),
        Limit(MarkSort.DECLINE, 5, HOUR_MS),
        Limit(MarkSort.DECLINE, 10, DAY_MS),
    ),
    # Offices, schools and mobile carriers share an address.
    SignalKind.ADDRESS: (
        Limit(MarkSort.ORDER, 30, HOUR_MS),
        Limit(MarkSort.ORDER, 100, DAY_MS),
        Limit(MarkSort.DECLINE, 10, HOUR_MS),
        Limit(MarkSort.DECLINE, 30, DAY_MS),
    ),
    # Known at a checkout only for cards that the buyer paid with before.
    SignalKind.CARD: (
        Limit(MarkSort.USED_BY, 30, DAY_MS),
        Limit(MarkSort.DECLINE, 5, DAY_MS),
    ),
}
DECLINES_PER_CHECKOUT_MAX = 5
"""Then the checkout is closed: one page of a provider's would else try any number of cards."""
CARD_USERS_MAX = 3
"""A family shares a card. Whoever comes as the fourth waits for a person to look."""
CARD_WINDOW_MS = 90 * DAY_MS
REFUNDS_PER_YEAR_MAX = 3
"""What buyers give back themselves; an operator gives back any number."""
YEAR_MS = 365 * DAY_MS

KEPT_MS: dict[MarkSort, int] = {
    MarkSort.ORDER: DAY_MS,
    MarkSort.DECLINE: DAY_MS,
    MarkSort.PAID_WITH: CARD_WINDOW_MS,
    MarkSort.USED_BY: CARD_WINDOW_MS,
    MarkSort.FRAUD: CARD_WINDOW_MS,
    MarkSort.REFUND: YEAR_MS,
}
"""For how long a mark counts; then nothing of it is kept."""
MARKS_MAX = 128
"""Of one sort on one signal: more than any limit asks for. Of more, the newest count."""
CARDS_LOOKED_AT_MAX = 4
"""Of a buyer's cards, the latest ones."""
DECISIONS_MAX = 100
"""On one subject. The first ones stay, since they explain the rest."""
