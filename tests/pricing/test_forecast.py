"""Forecasts: what is promised of them, what they refuse to say, and that they follow a pattern where there is one."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.pricing.forecast import DAYS_MIN, confidence_of, count_days, forecast, learn, measure
from shared.pricing.models import Confidence, Errors
from shared.pricing.rules import DAY_S, HOUR_S

START_S = 1_800_000_000 - 1_800_000_000 % DAY_S


def series_of(days: int, value: object = 1_000_000, seed: int = 1) -> dict[int, int]:
    """Hours of so many days: one value for all, or what a function of a chance and the hour's number says."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    return {
        START_S + number * HOUR_S: round(value(chance, number)) if callable(value) else int(str(value))
        for number in range(days * 24)
    }


def by_day(chance: random.Random, hour: int) -> float:
    """Dearest at 18, cheapest at 6, and a little restless."""
    return 1_200_000 - 300_000 * math.sin(hour % 24 / 24 * 2 * math.pi) + chance.gauss(0, 30_000)


def at_random(chance: random.Random, hour: int) -> float:
    return chance.uniform(800_000, 2_000_000)


@pytest.mark.parametrize("days", [0, 1, DAYS_MIN - 1])
def test_with_too_little_seen_nothing_is_said(days: int) -> None:
    """Nor is an error stated that nobody could measure."""
    told = forecast(series_of(days, by_day), now_s=START_S + days * DAY_S)

    assert (told.days_seen, told.confidence, told.errors, told.best, told.hours) == (
        days,
        Confidence.NONE,
        None,
        None,
        (),
    )


@pytest.mark.parametrize("seed", range(20))
def test_of_noise_nothing_is_claimed(seed: int) -> None:
    """Though the mean of noise is a better guess than "the same as now", which is said."""
    told = forecast(series_of(28, at_random, seed), now_s=START_S + 28 * DAY_S)

    assert told.confidence is Confidence.NONE
    assert told.hours == ()
    assert told.errors is not None
    assert told.errors.ours_ppm < told.errors.same_as_now_ppm


def test_of_a_price_that_never_moves_nothing_is_claimed() -> None:
    """All hours are as cheap."""
    assert forecast(series_of(28), now_s=START_S + 28 * DAY_S).confidence is Confidence.NONE


@pytest.mark.parametrize(("days", "confidence"), [(28, Confidence.HIGH), (14, Confidence.LOW)])
def test_the_cheapest_hour_of_a_daily_pattern_is_found(days: int, confidence: Confidence) -> None:
    """Within the next day, and with less confidence from half as much."""
    now_s = START_S + days * DAY_S + 1_234

    told = forecast(series_of(days, by_day), now_s=now_s)

    assert told.confidence is confidence
    assert len(told.hours) == 24
    assert now_s < told.hours[0][0] <= now_s + HOUR_S
    assert told.best is not None
    assert told.best[0] % DAY_S // HOUR_S in range(4, 9)
    assert abs(told.best[1] - 900_000) < 60_000


def test_an_hour_of_the_week_counts_for_itself() -> None:
    """What is cheap on one day of seven is forecast for that day alone."""

    def weekly(chance: random.Random, hour: int) -> float:
        return (800_000 if hour // 24 % 7 == 0 else 1_200_000) + chance.gauss(0, 5_000)

    pattern = learn(series_of(28, weekly))

    assert [round(pattern.at(START_S + day * DAY_S), -4) for day in range(28, 30)] == [800_000, 1_200_000]


def test_a_week_is_forecast_from_what_was_before_it_alone() -> None:
    """A pattern that begins in the last week helps nobody to forecast that week."""

    def late(chance: random.Random, hour: int) -> float:
        return by_day(chance, hour) if hour >= 21 * 24 else 1_000_000 + chance.gauss(0, 30_000)

    assert forecast(series_of(28, late), now_s=START_S + 28 * DAY_S).confidence is Confidence.NONE
    assert len(measure(series_of(28, by_day))) == 3


@pytest.mark.parametrize(
    ("weeks", "confidence"),
    [
        ([], Confidence.NONE),
        ([Errors(50, 100, 100)] * 3, Confidence.HIGH),
        ([Errors(80, 100, 100)] * 3, Confidence.LOW),
        ([Errors(95, 100, 100)] * 3, Confidence.NONE),
        ([Errors(50, 100, 100)], Confidence.LOW),
        ([Errors(80, 100, 100)], Confidence.NONE),
        ([Errors(20, 100, 100), Errors(101, 120, 100)], Confidence.NONE),
        ([Errors(50, 40, 100)] * 3, Confidence.NONE),
        ([Errors(0, 0, 0)] * 3, Confidence.NONE),
    ],
)
def test_confidence_is_what_every_week_bears_out(weeks: list[Errors], confidence: Confidence) -> None:
    """Against both guesses."""
    assert confidence_of(weeks) is confidence


def test_a_day_counts_as_seen_when_most_of_it_was() -> None:
    hours = {START_S + number * HOUR_S: 1_000_000 for number in (*range(18), *range(24, 24 + 17))}

    assert count_days(hours) == 1


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(
        st.integers(0, 28 * 24 - 1).map(lambda number: START_S + number * HOUR_S),
        st.integers(800_000, 2_000_000),
        max_size=400,
    )
)
def test_no_history_however_patchy_makes_it_fail(series: dict[int, int]) -> None:
    """And what is forecast is told for hours to come only."""
    now_s = START_S + 28 * DAY_S

    told = forecast(series, now_s=now_s)

    assert (told.confidence is Confidence.NONE) == (not told.hours)
    assert all(start_s > now_s for start_s, _ in told.hours)
