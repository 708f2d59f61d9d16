"""Forecasting a model's multiplier hour by hour, and saying honestly whether that is better than guessing.

The forecast of an hour is the mean of all that was seen, plus what this hour of the day was above it, plus what this
hour of the week was above that. Each part is shrunk to what its own scatter leaves of it, so that a series without a
pattern is forecast as its mean, and nothing is claimed of it.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, pvariance

from msgspec import Struct

from shared.pricing.models import Confidence, Errors, Forecast
from shared.pricing.rules import DAY_S, HOUR_S

HISTORY_DAYS_MAX = 28
"""Days looked back on; what was before is not how it is now."""
DAYS_MIN = 14
"""With fewer nothing is forecast: one week to learn from and one to be measured by."""
HOURS_PER_DAY_MIN = 18
"""A day of which less was recorded does not count as seen."""
WEEK_S = 7 * DAY_S
SLACK_S = DAY_S
"""How much the first of the weeks may lack: days are read whole, and today is not."""
HORIZON_HOURS = 24
SKILL_LOW, SKILL_HIGH = 0.1, 0.3
"""The part of the mean's error that a forecast must save to be told at all, and to be told with confidence."""

Series = Mapping[int, int]
"""What was seen, by when the hour began."""
Slot = Callable[[int], int]


class Pattern(Struct, frozen=True):
    """What a series is like: its mean, and what hours of the day and of the week are above it."""

    mean: float
    by_day: Mapping[int, float]
    by_week: Mapping[int, float]

    def at(self, hour_s: int) -> float:
        """The forecast of one hour."""
        return self.mean + self.by_day.get(hour_of_day(hour_s), 0.0) + self.by_week.get(hour_of_week(hour_s), 0.0)


def forecast(series: Series, *, now_s: int) -> Forecast:
    """The next hours' multipliers, if two weeks were seen and all but the first could have been forecast."""
    days_seen = count_days(series)
    if days_seen < DAYS_MIN:
        return Forecast(days_seen, Confidence.NONE, None)
    weeks = measure(series)
    errors, confidence = mean_of(weeks), confidence_of(weeks)
    if confidence is Confidence.NONE:
        return Forecast(days_seen, Confidence.NONE, errors)
    pattern = learn(series)
    first_s = now_s - now_s % HOUR_S + HOUR_S
    hours = tuple((hour_s, round(pattern.at(hour_s))) for hour_s in range(first_s, first_s + DAY_S, HOUR_S))
    return Forecast(days_seen, confidence, errors, hours)


def learn(series: Series) -> Pattern:
    """The pattern of a series that is not empty."""
    mean = fmean(series.values())
    by_day = _effects({hour_s: value - mean for hour_s, value in series.items()}, hour_of_day)
    rest = {hour_s: value - mean - by_day[hour_of_day(hour_s)] for hour_s, value in series.items()}
    return Pattern(mean, by_day, _effects(rest, hour_of_week))


def measure(series: Series) -> list[Errors]:
    """The errors of each week that has one before it, forecast from all before it; the last week first."""
    ends_s = max(series) + HOUR_S
    weeks = []
    while ends_s - 2 * WEEK_S >= min(series) - SLACK_S:
        known = {hour_s: value for hour_s, value in series.items() if hour_s < ends_s - WEEK_S}
        tested = {hour_s: value for hour_s, value in series.items() if ends_s - WEEK_S <= hour_s < ends_s}
        if known and tested and (errors := _errors(series, learn(known), tested)):
            weeks.append(errors)
        ends_s -= WEEK_S
    return weeks


def mean_of(weeks: Sequence[Errors]) -> Errors | None:
    """The mean errors of all weeks."""
    if not weeks:
        return None
    return Errors(
        ours_ppm=fmean(week.ours_ppm for week in weeks),
        same_as_now_ppm=fmean(week.same_as_now_ppm for week in weeks),
        mean_ppm=fmean(week.mean_ppm for week in weeks),
    )


def confidence_of(weeks: Sequence[Errors]) -> Confidence:
    """Beating "the same as now" is no skill in itself: on mere noise the mean does. Both must be beaten, every week.

    One week may be beaten by chance, so what rests on one alone is never told with much confidence.
    """
    errors = mean_of(weeks)
    if errors is None or not all(week.ours_ppm < min(week.same_as_now_ppm, week.mean_ppm) for week in weeks):
        return Confidence.NONE
    skill = 1 - errors.ours_ppm / errors.mean_ppm
    if skill < (SKILL_LOW if len(weeks) > 1 else SKILL_HIGH):
        return Confidence.NONE
    return Confidence.HIGH if skill >= SKILL_HIGH and len(weeks) > 1 else Confidence.LOW


def count_days(series: Series) -> int:
    """How many days (UTC) were seen, nearly whole."""
    hours: defaultdict[int, int] = defaultdict(int)
    for hour_s in series:
        hours[hour_s // DAY_S] += 1
    return sum(count >= HOURS_PER_DAY_MIN for count in hours.values())


def hour_of_day(hour_s: int) -> int:
    """0 to 23."""
    return hour_s // HOUR_S % 24


def hour_of_week(hour_s: int) -> int:
    """0 to 167; which day is the first does not matter."""
    return hour_s // HOUR_S % 168


def _errors(series: Series, pattern: Pattern, tested: Series) -> Errors | None:
    """Of one week. "The same as now" is asked for every number of hours ahead, up to a day."""
    naive = [
        abs(value - series[hour_s - ahead * HOUR_S])
        for hour_s, value in tested.items()
        for ahead in range(1, HORIZON_HOURS + 1)
        if hour_s - ahead * HOUR_S in series
    ]
    if not naive:
        return None
    return Errors(
        ours_ppm=fmean(abs(value - pattern.at(hour_s)) for hour_s, value in tested.items()),
        same_as_now_ppm=fmean(naive),
        mean_ppm=fmean(abs(value - pattern.mean) for value in tested.values()),
    )


def _effects(series: Mapping[int, float], slot: Slot) -> dict[int, float]:
    """What each slot is above zero, shrunk: multiplied by the part of the slots' variance that is not their scatter."""
    values: defaultdict[int, list[float]] = defaultdict(list)
    for hour_s, value in series.items():
        values[slot(hour_s)].append(value)
    means = {name: fmean(seen) for name, seen in values.items()}
    weight = _weight(list(values.values()), list(means.values()))
    return {name: mean * weight for name, mean in means.items()}


def _weight(slots: Sequence[Sequence[float]], means: Sequence[float]) -> float:
    """0 where the slots' means differ no more than chance makes them differ, towards 1 where they differ far more."""
    freedom = sum(len(seen) - 1 for seen in slots)
    between = pvariance(means)
    if not freedom or not between:
        return 0.0
    scatter = sum(pvariance(seen) * len(seen) for seen in slots) / freedom
    by_chance = scatter * fmean(1 / len(seen) for seen in slots)
    return max(0.0, 1 - by_chance / between)
