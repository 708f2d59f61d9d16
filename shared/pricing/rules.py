"""What load does to a price. Pure, in integers, so that whoever counts the same window again comes to the same price.

A model's load is held against its own usual load, a mean over about a day that follows slowly. As much as usual is
neutral; so a load that lasts becomes usual and its price neutral again, and one that stays away does too.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from shared.base.economy import COST_PPM, DEMAND_PPM_MAX, DEMAND_PPM_MIN, DEMAND_STEP_PPM_MAX
from shared.base.micros import credits_to_micros
from shared.catalog.models import Route
from shared.metering.models import DEMAND_NEUTRAL_PPM
from shared.pricing.models import (
    Advanced,
    DemandState,
    Hour,
    ModelDemand,
    Multiplier,
    Multipliers,
    Override,
    OverrideRecord,
    Point,
    Sale,
)

PPM = 1_000_000
WINDOW_S = 300
"""Seconds of load that a multiplier is renewed for."""
HOUR_S = 3_600
DAY_S = 86_400
USUAL_WINDOWS = DAY_S // WINDOW_S
"""How many windows the usual load looks back on."""
QUIET_MICROS = credits_to_micros(20)
"""Added to both sides of load against usual load: of a model this quiet, single calls say nothing."""
SLOPE_PPM = 400_000
"""How much of a change in load the price follows: at half the usual load it is the lowest, at 3.5 times the highest."""
SMOOTHING = 4
"""A multiplier goes this part of its way to where the load wants it, so that one odd window moves little."""
WINDOWS_MAX = 12
"""Windows counted in one run. Load older than this hour says nothing of demand now, so it is skipped."""
MODELS_MAX = 1_000
"""Models whose demand is kept, about 200 bytes each in one document; beyond it the quietest stay neutral."""

NEW = ModelDemand(demand_ppm=DEMAND_NEUTRAL_PPM, since_s=0, usual_micros=0, windows=0, hour=Hour(0, 0, 0, 0, 0))
"""A model nobody has asked for yet."""
NEUTRAL = Multiplier(DEMAND_NEUTRAL_PPM, 0)


def sale_of(document: Mapping[str, Any]) -> Sale | None:
    """What an entry's document says of load; None when it records no work of a model.

    A document that makes no sense counts for nothing: finding it is the audit's task, and prices must go on.
    """
    facts, delta = document.get("facts"), document.get("delta_micros")
    if document.get("kind") != "capture" or not isinstance(facts, dict) or type(delta) is not int or delta >= 0:
        return None
    model_id, demand = facts.get("model"), str(facts.get("demand_ppm", DEMAND_NEUTRAL_PPM))
    # An answer told again was no work for anybody.
    if not isinstance(model_id, str) or "cache" in facts or not (demand.isascii() and demand.isdigit()):
        return None
    return Sale(model_id, -delta * DEMAND_NEUTRAL_PPM // bounded(int(demand)))


def loads_of(sales: Iterable[Sale]) -> dict[str, int]:
    """The load of each model."""
    loads: dict[str, int] = {}
    for sale in sales:
        loads[sale.model_id] = loads.get(sale.model_id, 0) + sale.load_micros
    return loads


def bounded(demand_ppm: int) -> int:
    """Within what a multiplier may be."""
    return min(max(demand_ppm, DEMAND_PPM_MIN), DEMAND_PPM_MAX)


def sold_at(multiplier: Multiplier, routes: Iterable[Route]) -> tuple[int, str]:
    """The multiplier that a model is sold at, and what made it where that was not demand.

    Never below what the dearest of its routes asks of us: it may be any of them that answers in the end.
    """
    cost_ppm = max((route.cost_ppm or PPM for route in routes), default=PPM)
    least_ppm = min(-(-COST_PPM * cost_ppm // PPM), DEMAND_PPM_MAX)
    if multiplier.demand_ppm < least_ppm:
        return least_ppm, "cost"
    return multiplier.demand_ppm, "operator" if multiplier.set_until_s else ""


def wanted_ppm(load_micros: int, model: ModelDemand) -> int:
    """Where the load wants the multiplier. A model that was never seen before has no usual load to compare with."""
    if model.windows == 0:
        return DEMAND_NEUTRAL_PPM
    ratio_ppm = (load_micros + QUIET_MICROS) * PPM // (model.usual_micros + QUIET_MICROS)
    return bounded(DEMAND_NEUTRAL_PPM + (ratio_ppm - PPM) * SLOPE_PPM // PPM)


def next_ppm(demand_ppm: int, wanted: int) -> int:
    """The next multiplier: some way towards the wanted one, never beyond it, and never far at once."""
    distance = abs(wanted - demand_ppm)
    step = min(max(distance // SMOOTHING, 1), DEMAND_STEP_PPM_MAX, distance)
    return demand_ppm + step if wanted > demand_ppm else demand_ppm - step


def next_usual(load_micros: int, model: ModelDemand) -> int:
    """The usual load once this window is counted: a plain mean at first, then one that forgets within about a day."""
    return model.usual_micros + (load_micros - model.usual_micros) // min(model.windows + 1, USUAL_WINDOWS)


def next_demand(model: ModelDemand, load_micros: int, until_s: int) -> ModelDemand:
    """A model's demand after a window with this load, which ended at `until_s`."""
    demand_ppm = next_ppm(model.demand_ppm, wanted_ppm(load_micros, model))
    return ModelDemand(
        demand_ppm=demand_ppm,
        since_s=model.since_s if demand_ppm == model.demand_ppm and model.windows else until_s,
        usual_micros=next_usual(load_micros, model),
        windows=min(model.windows + 1, USUAL_WINDOWS),
        hour=_next_hour(model.hour, demand_ppm, until_s),
    )


def advance(state: DemandState, until_s: int, loads: Mapping[str, int]) -> Advanced:
    """The demand after the window that ended at `until_s`. Models whom nobody asks for any more are forgotten."""
    renewed = {
        model_id: next_demand(state.models.get(model_id, NEW), loads.get(model_id, 0), until_s)
        for model_id in sorted({*state.models, *loads})
    }
    kept = {model_id: model for model_id, model in renewed.items() if not _is_forgotten(model)}
    if len(kept) > MODELS_MAX:
        busiest = sorted(kept, key=lambda model_id: -kept[model_id].usual_micros)[:MODELS_MAX]
        kept = {model_id: kept[model_id] for model_id in sorted(busiest)}
    ended = {
        model_id: model.hour
        for model_id, model in state.models.items()
        if model_id not in kept or kept[model_id].hour.start_s != model.hour.start_s
    }
    overrides = {model_id: one for model_id, one in state.overrides.items() if one.until_s > until_s}
    return Advanced(DemandState(until_s, kept, overrides), ended)


def windows_due(counted_until_s: int, closed_s: int) -> list[int]:
    """Where the windows begin that are to be counted now, oldest first; the first run of all counts the last one."""
    end_s = closed_s - closed_s % WINDOW_S
    begin_s = max(counted_until_s, end_s - WINDOWS_MAX * WINDOW_S) if counted_until_s else end_s - WINDOW_S
    return list(range(begin_s, end_s, WINDOW_S))


def multipliers_of(state: DemandState) -> Multipliers:
    """What the world may know of the demand: not how much is sold."""
    models = {model_id: Multiplier(model.demand_ppm, model.since_s) for model_id, model in state.models.items()}
    for model_id, one in state.overrides.items():
        otherwise = models.get(model_id, NEUTRAL)
        models[model_id] = Multiplier(one.demand_ppm, one.since_s, one.until_s, otherwise.demand_ppm)
    return Multipliers(state.until_s, models)


def in_force(multiplier: Multiplier, now_s: int) -> Multiplier:
    """What holds now: a multiplier that an operator has set ends by the clock, whenever the next refresh may come."""
    if not multiplier.set_until_s or now_s < multiplier.set_until_s:
        return multiplier
    return Multiplier(multiplier.otherwise_ppm, multiplier.set_until_s)


def overridden(state: DemandState, record: OverrideRecord) -> DemandState:
    """The demand after an operator's order. Load is counted on beneath, as if nothing had been set."""
    overrides = {model_id: one for model_id, one in state.overrides.items() if model_id != record.model_id}
    if record.demand_ppm is not None:
        until_s = record.since_s + record.lasts_s
        overrides[record.model_id] = Override(bounded(record.demand_ppm), record.since_s, until_s)
    return replace(state, overrides=overrides)


def by_hour(hours: Iterable[Hour]) -> list[Point]:
    """One point for each hour, in order."""
    ordered = sorted(hours, key=lambda hour: hour.start_s)
    return [Point(hour.start_s, hour.low_ppm, hour.mean_ppm, hour.high_ppm) for hour in ordered]


def by_day(hours: Iterable[Hour]) -> list[Point]:
    """One point for each day (UTC), in order. Its mean is that of all refreshes, not that of its hours."""
    return by_hour(_merged(hours))


def _merged(hours: Iterable[Hour]) -> Iterator[Hour]:
    days: dict[int, Hour] = {}
    for hour in hours:
        day_s = hour.start_s - hour.start_s % DAY_S
        day = days.get(day_s)
        days[day_s] = _joined(day, hour) if day else replace(hour, start_s=day_s)
    yield from days.values()


def _next_hour(hour: Hour, demand_ppm: int, until_s: int) -> Hour:
    now = Hour(until_s - until_s % HOUR_S, demand_ppm, demand_ppm, demand_ppm, 1)
    return _joined(hour, now) if hour.start_s == now.start_s else now


def _joined(one: Hour, other: Hour) -> Hour:
    return Hour(
        one.start_s,
        min(one.low_ppm, other.low_ppm),
        max(one.high_ppm, other.high_ppm),
        one.sum_ppm + other.sum_ppm,
        one.count + other.count,
    )


def _is_forgotten(model: ModelDemand) -> bool:
    return model.usual_micros == 0 and model.demand_ppm == DEMAND_NEUTRAL_PPM
