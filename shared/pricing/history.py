"""What a model's price was, and what it will probably be."""

from collections.abc import Iterator
from typing import Literal

from shared.base.clock import Clock
from shared.pricing import rules
from shared.pricing.errors import PriceHistoryAbsent
from shared.pricing.forecast import HISTORY_DAYS_MAX, forecast
from shared.pricing.models import Forecast, Hour, Point
from shared.pricing.store import PriceStore

HOURLY_DAYS = 7
"""Days of which every hour is told; of a longer time the days are."""


class PriceHistory:
    """Tells what was recorded of prices."""

    def __init__(self, store: PriceStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def trend(self, model_id: str, per: Literal["hour", "day"]) -> list[Point]:
        """The hours of a week, or the days of four. Raise PriceHistoryAbsent or PricesUnavailable."""
        if per == "hour":
            return rules.by_hour(await self._history(model_id, HOURLY_DAYS))
        return rules.by_day(await self._history(model_id, HISTORY_DAYS_MAX))

    async def forecast(self, model_id: str) -> Forecast:
        """The next day, as far as anything can be said of it. Raise PriceHistoryAbsent or PricesUnavailable."""
        hours = await self._history(model_id, HISTORY_DAYS_MAX)
        return forecast({hour.start_s: hour.mean_ppm for hour in hours}, now_s=self._clock() // 1_000)

    async def _history(self, model_id: str, days: int) -> list[Hour]:
        hours = await self._store.hours(model_id, list(_days(self._clock() // 1_000, days)))
        if not hours:
            raise PriceHistoryAbsent(model_id)
        return hours


def _days(now_s: int, count: int) -> Iterator[int]:
    """When today and the days before it began."""
    today_s = now_s - now_s % rules.DAY_S
    yield from (today_s - number * rules.DAY_S for number in range(count))
