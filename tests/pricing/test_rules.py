"""What load does to a price, for every load: bounded, monotone, calm, and the same whoever counts."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.base.economy import DEMAND_PPM_MAX, DEMAND_PPM_MIN, DEMAND_STEP_PPM_MAX
from shared.metering.models import DEMAND_NEUTRAL_PPM
from shared.pricing import rules
from shared.pricing.models import DemandState, Hour, ModelDemand, Point, Sale

MODEL = "maker/model"
loads = st.integers(0, 10**15)
multipliers = st.integers(DEMAND_PPM_MIN, DEMAND_PPM_MAX)
models = st.builds(
    ModelDemand,
    demand_ppm=multipliers,
    since_s=st.just(0),
    usual_micros=loads,
    windows=st.integers(0, rules.USUAL_WINDOWS),
    hour=st.just(Hour(0, DEMAND_NEUTRAL_PPM, DEMAND_NEUTRAL_PPM, DEMAND_NEUTRAL_PPM, 1)),
)
CREDITS_100 = 100_000_000


def after(model: ModelDemand, load: int, windows: int) -> list[int]:
    """The multipliers after so many windows of the same load."""
    seen = []
    for number in range(windows):
        model = rules.next_demand(model, load, (number + 1) * rules.WINDOW_S)
        seen.append(model.demand_ppm)
    return seen


def turns(values: list[int]) -> int:
    """How often they change their direction."""
    steps = [later - earlier for earlier, later in pairwise(values) if later != earlier]
    return sum((one > 0) != (other > 0) for one, other in pairwise(steps))


@given(models, loads)
def test_a_multiplier_stays_in_its_bounds_and_moves_little(model: ModelDemand, load: int) -> None:
    """Whatever the load."""
    renewed = rules.next_demand(model, load, rules.WINDOW_S)

    assert DEMAND_PPM_MIN <= renewed.demand_ppm <= DEMAND_PPM_MAX
    assert abs(renewed.demand_ppm - model.demand_ppm) <= DEMAND_STEP_PPM_MAX
    assert renewed.usual_micros >= 0


@given(models, loads, loads)
def test_more_load_never_makes_it_cheaper(model: ModelDemand, one: int, other: int) -> None:
    """From the same state, in the price and in what counts as usual."""
    less, more = (rules.next_demand(model, load, rules.WINDOW_S) for load in sorted((one, other)))

    assert less.demand_ppm <= more.demand_ppm
    assert less.usual_micros <= more.usual_micros


@given(multipliers, multipliers)
def test_a_step_goes_towards_what_is_wanted_and_never_beyond(demand_ppm: int, wanted: int) -> None:
    """So it neither swings nor stops short."""
    stepped = rules.next_ppm(demand_ppm, wanted)

    assert min(demand_ppm, wanted) <= stepped <= max(demand_ppm, wanted)
    assert (stepped == demand_ppm) == (wanted == demand_ppm)


@given(models, loads)
def test_a_load_that_stays_makes_the_price_turn_once_at_most(model: ModelDemand, load: int) -> None:
    """There and back again; it never swings."""
    assert turns(after(model, load, 600)) <= 1


def test_a_load_that_stays_becomes_usual() -> None:
    """Twenty times what it was is dearest at first; in the end nobody remembers that it was ever less."""
    quiet = ModelDemand(DEMAND_NEUTRAL_PPM, 0, CREDITS_100, rules.USUAL_WINDOWS, rules.NEW.hour)

    seen = after(quiet, 20 * CREDITS_100, 8_000)

    assert max(seen) == DEMAND_PPM_MAX
    assert abs(seen[-1] - DEMAND_NEUTRAL_PPM) < 100


@given(models)
def test_without_load_the_price_is_neutral_again_and_the_model_forgotten(model: ModelDemand) -> None:
    """Within weeks, from wherever it stood."""
    state = DemandState(rules.WINDOW_S, {MODEL: model})
    for number in range(2, 12_000):
        state = rules.advance(state, number * rules.WINDOW_S, {}).state
        if not state.models:
            return

    raise AssertionError(state)


def test_the_first_window_of_a_model_says_what_is_usual() -> None:
    """Nothing is dearer for being new."""
    state = rules.advance(DemandState(), 300, {MODEL: 10**12}).state

    assert state.models[MODEL].demand_ppm == DEMAND_NEUTRAL_PPM
    assert state.models[MODEL].usual_micros == 10**12


def test_single_calls_move_no_quiet_models_price() -> None:
    """A credit where there was none is no demand worth a tenth of a percent."""
    quiet = ModelDemand(DEMAND_NEUTRAL_PPM, 0, 0, rules.USUAL_WINDOWS, rules.NEW.hour)

    assert rules.wanted_ppm(1_000_000, quiet) <= DEMAND_NEUTRAL_PPM * 102 // 100


@given(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), loads), st.dictionaries(st.sampled_from(["a", "b", "d"]), loads)
)
def test_whoever_counts_the_same_comes_to_the_same(first: dict[str, int], second: dict[str, int]) -> None:
    """In whatever order the sales were read."""
    state = rules.advance(DemandState(), 300, first).state
    backwards = dict(reversed(list(second.items())))

    assert rules.advance(state, 600, second) == rules.advance(state, 600, backwards)


def test_only_the_busiest_are_kept_when_there_are_too_many() -> None:
    crowd = {f"maker/{number}": CREDITS_100 + number for number in range(rules.MODELS_MAX + 5)}

    kept = rules.advance(DemandState(), 300, crowd).state.models

    assert len(kept) == rules.MODELS_MAX
    assert "maker/4" not in kept
    assert "maker/5" in kept


ENTRY = {"kind": "capture", "delta_micros": -100, "facts": {"model": MODEL}}


def test_a_charge_is_load_at_the_price_without_demand() -> None:
    """Else a dear hour would look busy for being dear."""
    dear = {**ENTRY, "delta_micros": -200, "facts": {"model": MODEL, "demand_ppm": "2000000"}}

    assert rules.sale_of(ENTRY) == rules.sale_of(dear) == Sale(MODEL, 100)


def test_what_is_no_work_of_a_model_is_no_load() -> None:
    """Nor is an answer told again, and nonsense stops nothing."""
    odd: list[dict[str, object]] = [
        {},
        {**ENTRY, "kind": "debit"},
        {**ENTRY, "kind": "refund", "delta_micros": 100},
        {**ENTRY, "facts": {}},
        {**ENTRY, "facts": None},
        {**ENTRY, "facts": {"model": 7}},
        {**ENTRY, "facts": {"model": MODEL, "cache": "hit"}},
        {**ENTRY, "facts": {"model": MODEL, "demand_ppm": "0x1"}},
        {**ENTRY, "facts": {"model": MODEL, "demand_ppm": "-1"}},
        {**ENTRY, "delta_micros": "many"},
        {**ENTRY, "delta_micros": 0},
    ]

    assert [rules.sale_of(document) for document in odd] == [None] * len(odd)


def test_a_multiplier_of_nothing_divides_nothing() -> None:
    assert rules.sale_of({**ENTRY, "facts": {"model": MODEL, "demand_ppm": "0"}}) == Sale(MODEL, 125)


def test_loads_are_added_up_by_model() -> None:
    assert rules.loads_of([Sale("a", 1), Sale("b", 2), Sale("a", 3)]) == {"a": 4, "b": 2}


@given(st.integers(0, 10**7), st.integers(10**6, 10**7))
def test_windows_are_counted_once_in_order_and_never_before_they_close(counted: int, closed_s: int) -> None:
    """And no more than an hour of them."""
    due = rules.windows_due(counted * rules.WINDOW_S, closed_s)

    assert due == sorted(set(due))
    assert len(due) <= rules.WINDOWS_MAX
    assert all(begin_s % rules.WINDOW_S == 0 and begin_s >= counted * rules.WINDOW_S for begin_s in due)
    assert all(begin_s + rules.WINDOW_S <= closed_s for begin_s in due)


def test_an_hour_is_recorded_when_it_is_over() -> None:
    """With all its refreshes, and never the hour under way."""
    state, recorded = DemandState(), {}
    for number in range(1, 26):
        advanced = rules.advance(state, number * rules.WINDOW_S, {MODEL: CREDITS_100 * number})
        state = advanced.state
        recorded |= {hour.start_s: hour for hour in advanced.ended.values()}

    assert {start_s: hour.count for start_s, hour in recorded.items()} == {0: 11, 3600: 12}
    assert all(hour.low_ppm <= hour.mean_ppm <= hour.high_ppm for hour in recorded.values())
    assert recorded[3600].low_ppm > recorded[0].low_ppm


def test_a_multiplier_says_since_when() -> None:
    steady = replace(rules.NEW, usual_micros=CREDITS_100, windows=rules.USUAL_WINDOWS, since_s=7)

    assert rules.next_demand(steady, CREDITS_100, 900).since_s == 7
    assert rules.next_demand(steady, 9 * CREDITS_100, 900).since_s == 900


def test_a_day_is_the_sum_of_its_hours() -> None:
    hours = [Hour(90_000, 5, 9, 14, 2), Hour(86_400, 4, 6, 10, 2), Hour(0, 1, 1, 1, 1)]

    assert rules.by_day(hours) == [Point(0, 1, 1, 1), Point(86_400, 4, 6, 9)]
    assert rules.by_hour(hours) == [Point(0, 1, 1, 1), Point(86_400, 4, 5, 6), Point(90_000, 5, 7, 9)]
