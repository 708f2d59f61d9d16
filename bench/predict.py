"""Forecasting prices: how far off beside the guess "the same as now", on loads with a pattern and on mere noise.

The loads are seeded and go through the production rules window by window, five weeks of them; at every hour of the
last week the next day is forecast from what was before. On noise there is nothing to know, and nothing may be claimed.
"""

import math
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bench.report import at_most, exactly, run_bench, say
from shared.base.micros import credits_to_micros
from shared.pricing.forecast import HISTORY_DAYS_MAX, HORIZON_HOURS, forecast
from shared.pricing.models import Confidence, DemandState
from shared.pricing.rules import DAY_S, HOUR_S, WINDOW_S, advance

MODEL = "maker/model"
BEGINS_S = 1_800_000_000 - 1_800_000_000 % DAY_S
DAYS = HISTORY_DAYS_MAX + 7
SEEDS, SEEDS_QUICK = 10, 1
STRIDE_HOURS, STRIDE_HOURS_QUICK = 5, 36
"""Between forecasts. Five is prime to a day, so all hours of the day are asked."""
BUSY_MICROS = credits_to_micros(400)
WINDOWS = range(0, DAYS * DAY_S, WINDOW_S)
"""When each begins, in seconds from the first."""
RATIO_MAX = 0.7

Load = Callable[[random.Random], list[float]]
"""The load of each window, in parts of `BUSY_MICROS`."""


@dataclass
class Score:
    """How far forecasts were off, and how many there were."""

    ours_ppm: float = 0.0
    naive_ppm: float = 0.0
    hours: int = 0
    asked: int = 0
    claimed: int = 0


def patterned(chance: random.Random) -> list[float]:
    """Busy by day and idle by night, half as much on two days of seven, and restless besides."""
    return [
        (1 + 0.8 * math.sin((at_s % DAY_S / HOUR_S - 9) / 24 * 2 * math.pi))
        * (0.5 if at_s // DAY_S % 7 in (2, 3) else 1.0)
        * restless**0.6
        for at_s, restless in zip(WINDOWS, lasting(chance), strict=True)
    ]


def noise(chance: random.Random) -> list[float]:
    """Another load in every window, without any order."""
    return [chance.lognormvariate(0, 0.8) for _ in WINDOWS]


def lasting(chance: random.Random, hours: int = 7) -> list[float]:
    """Noise that stays for hours: to whoever looks at one day it looks like a pattern."""
    levels = [chance.lognormvariate(0, 0.8) for _ in range(DAYS * 24 // hours + 1)]
    return [levels[at_s // HOUR_S // hours] * chance.lognormvariate(0, 0.2) for at_s in WINDOWS]


def lasting_long(chance: random.Random) -> list[float]:
    """The same, for more than a day."""
    return lasting(chance, hours=31)


PATTERNLESS: tuple[Load, ...] = (noise, lasting, lasting_long)


def measure(quick: bool) -> dict[str, Any]:
    """All seeds of all loads."""
    scores = {load.__name__: _score(load, quick) for load in (patterned, *PATTERNLESS)}
    figures = {name: _figures(score) for name, score in scores.items()}
    claims = sum(figures[load.__name__]["claimed"] for load in PATTERNLESS)
    return {
        **{name: figures["patterned"][name] for name in ("mae", "naive_mae", "ratio")},
        "loads": figures,
        "targets": {"ratio": at_most(RATIO_MAX, figures["patterned"]["ratio"]), "noise_claims": exactly(0, claims)},
        "noise": {"seeds": SEEDS_QUICK if quick else SEEDS, "days": DAYS},
    }


def _score(load: Load, quick: bool) -> Score:
    score = Score()
    for seed in range(SEEDS_QUICK if quick else SEEDS):
        say(f"Forecasting {load.__name__}, seed {seed}")
        _add(score, dict(_hours(load, random.Random(seed))), STRIDE_HOURS_QUICK if quick else STRIDE_HOURS)  # noqa: S311 - no secret
    return score


def _hours(load: Load, chance: random.Random) -> Iterator[tuple[int, int]]:
    """The mean multiplier of each hour, as `price_refresh` would have recorded it."""
    state = DemandState(BEGINS_S, {})
    for at_s, load_now in zip(WINDOWS, load(chance), strict=True):
        advanced = advance(state, BEGINS_S + at_s + WINDOW_S, {MODEL: round(BUSY_MICROS * load_now)})
        state = advanced.state
        yield from ((hour.start_s, hour.mean_ppm) for hour in advanced.ended.values())


def _add(score: Score, series: dict[int, int], stride: int) -> None:
    """Forecast at every hour of the last week but its last day. Only what is claimed counts against the truth."""
    first_s = BEGINS_S + HISTORY_DAYS_MAX * DAY_S
    for now_s in range(first_s, BEGINS_S + (DAYS - 1) * DAY_S - HOUR_S, stride * HOUR_S):
        known = {at_s: value for at_s, value in series.items() if now_s - HISTORY_DAYS_MAX * DAY_S <= at_s < now_s}
        expected = forecast(known, now_s=now_s)
        score.asked += 1
        if expected.confidence is Confidence.NONE:
            continue
        score.claimed += 1
        for at_s, value in expected.hours[: HORIZON_HOURS - 1]:
            score.ours_ppm += abs(series[at_s] - value)
            score.naive_ppm += abs(series[at_s] - series[now_s - HOUR_S])
            score.hours += 1


def _figures(score: Score) -> dict[str, Any]:
    """In parts of the catalog's price. Where nothing was claimed there is no error."""
    mae = score.ours_ppm / score.hours / 1e6 if score.hours else None
    naive_mae = score.naive_ppm / score.hours / 1e6 if score.hours else None
    ratio = mae / naive_mae if mae is not None and naive_mae else None
    return {"mae": mae, "naive_mae": naive_mae, "ratio": ratio, "asked": score.asked, "claimed": score.claimed}


if __name__ == "__main__":
    sys.exit(run_bench("bench.predict", measure))
