"""What is known of the demand for models: the multiplier of each, what it follows from, and what it was."""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from shared.base.units import Unit


class Sale(Struct, frozen=True):
    """One charge for a model's work, as far as demand goes."""

    model_id: str
    load_micros: int
    """What it would have cost without a multiplier. It measures tokens, images and seconds alike."""


class Hour(Struct, frozen=True):
    """The multipliers that one model had in one hour (UTC), one for each refresh."""

    start_s: int
    low_ppm: int
    high_ppm: int
    sum_ppm: int
    count: int

    @property
    def mean_ppm(self) -> int:
        """Their mean, rounded down."""
        return self.sum_ppm // self.count


class ModelDemand(Struct, frozen=True):
    """One model's demand after the last window that was counted."""

    demand_ppm: int
    since_s: int
    """When the multiplier came to be what it is."""
    usual_micros: int
    """The load of a window that this model usually has."""
    windows: int
    """How many windows that rests on, up to those of a day."""
    hour: Hour


class Override(Struct, frozen=True):
    """A multiplier that an operator has set in place of the demand's, for some time."""

    demand_ppm: int
    since_s: int
    until_s: int


class DemandState(Struct, frozen=True):
    """The demand for all models. Everything committed before `until_s` is counted, nothing after."""

    until_s: int = 0
    models: Mapping[str, ModelDemand] = {}
    overrides: Mapping[str, Override] = {}


class OverrideRecord(Struct, frozen=True, kw_only=True):
    """One order of an operator's: to set a model's multiplier, or with None to leave it to demand again."""

    record_id: str
    model_id: str
    demand_ppm: int | None
    lasts_s: int
    since_s: int
    by: str
    why: str


class Multiplier(Struct, frozen=True, omit_defaults=True):
    """What a model's price is multiplied by, and since when."""

    demand_ppm: int
    since_s: int
    set_until_s: int = 0
    """Until when an operator has set it; 0 for what follows demand."""
    otherwise_ppm: int = 0
    """What follows demand, beside what was set; 0 where nothing was."""


class Multipliers(Struct, frozen=True):
    """The multipliers of all models that have one; the others are at the catalog's price."""

    until_s: int = 0
    models: Mapping[str, Multiplier] = {}


class Advanced(Struct, frozen=True):
    """What one more window makes of the demand, and the hours that came to their end with it."""

    state: DemandState
    ended: Mapping[str, Hour]


class UnitPrice(Struct, frozen=True):
    """What one kind of unit costs, in micros for a million."""

    unit: Unit
    catalog_micros: int
    effective_micros: int
    """With the multiplier, rounded up; a charge rounds once, at its end."""


class PriceNow(Struct, frozen=True):
    """A model's price at this moment."""

    model_id: str
    multiplier: Multiplier
    counted_until_s: int
    units: tuple[UnitPrice, ...]


class Point(Struct, frozen=True):
    """The multipliers of an hour or a day that begins at `start_s`."""

    start_s: int
    low_ppm: int
    mean_ppm: int
    high_ppm: int


class Confidence(StrEnum):
    """How much better than guessing the mean forecasts would have been, week after week of what is known."""

    NONE = "none"
    LOW = "low"
    HIGH = "high"


class Errors(Struct, frozen=True):
    """How far forecasts of a week would have been off: ours, "the same as now", "the mean of what was before"."""

    ours_ppm: float
    same_as_now_ppm: float
    mean_ppm: float


class Forecast(Struct, frozen=True):
    """The next hours' multipliers. Without confidence there are none."""

    days_seen: int
    confidence: Confidence
    errors: Errors | None
    """Of all weeks that could be forecast from those before, in the mean. None where there is no such week."""
    hours: tuple[tuple[int, int], ...] = ()
    """When each begins, and its multiplier."""

    @property
    def best(self) -> tuple[int, int] | None:
        """The cheapest hour, the earliest of them if there are several."""
        return min(self.hours, key=lambda hour: hour[1], default=None)
