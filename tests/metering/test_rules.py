"""Prices, quotes and charges, as properties over all prices and counts there can be."""

from fractions import Fraction

from hypothesis import example, given
from hypothesis import strategies as st

from shared.base.units import PROMPT_KINDS, UNITS_PER_RATE, Counts, Rates, Unit
from shared.metering.models import DEMAND_NEUTRAL_PPM, Quote, Usage, UsageSource
from shared.metering.rules import (
    COUNT_MAX,
    affordable_completion_tokens,
    charge_micros,
    cost_micros,
    quote,
    rate_of,
    receipt_facts,
)

PROMPT = (Unit.PROMPT_TOKEN, *PROMPT_KINDS)
demands = st.integers(800_000, 2_000_000)
counts = st.integers(0, 10**7)
rates = st.dictionaries(st.sampled_from(Unit), st.integers(1, 10**12))
some_counts = st.dictionaries(st.sampled_from(Unit), counts)


@st.composite
def quotes(draw: st.DrawFn) -> Quote:
    """A call with a prompt and several choices, whatever else it has."""
    priced = draw(rates) | {Unit.PROMPT_TOKEN: draw(st.integers(1, 10**10)), Unit.COMPLETION_TOKEN: draw(counts) + 1}
    choices = draw(st.integers(1, 8))
    counts_max = {
        Unit.PROMPT_TOKEN: draw(counts),
        Unit.COMPLETION_TOKEN: draw(st.integers(1, 10**6)) * choices,
        Unit.IMAGE: draw(st.integers(0, 9)),
        Unit.AUDIO_MS: draw(counts),
    }
    return quote(priced, counts_max, choices=choices, demand_ppm=draw(demands))


@st.composite
def usages_within(draw: st.DrawFn, call: Quote) -> Usage:
    """A usage that the quote allows: the prompt split among its kinds, everything else up to its bound."""
    used = {unit: draw(st.integers(0, most)) for unit, most in call.counts_max.items()}
    for unit in PROMPT_KINDS:
        part = draw(st.integers(0, used[Unit.PROMPT_TOKEN]))
        used |= {unit: part, Unit.PROMPT_TOKEN: used[Unit.PROMPT_TOKEN] - part}
    return Usage(used, UsageSource.REPORTED)


usages = st.builds(Usage, st.dictionaries(st.sampled_from(Unit), st.integers(0, 10**30)), st.sampled_from(UsageSource))


@given(rates, some_counts, demands)
@example({Unit.PROMPT_TOKEN: 1, Unit.COMPLETION_TOKEN: 1}, {Unit.PROMPT_TOKEN: 1}, DEMAND_NEUTRAL_PPM)
@example({Unit.IMAGE: 1, Unit.COMPLETION_TOKEN: 1}, {Unit.IMAGE: 500_000, Unit.COMPLETION_TOKEN: 500_000}, 1_000_000)
def test_cost_is_rounded_up_once_and_by_less_than_a_micro(rates: Rates, counts: Counts, demand_ppm: int) -> None:
    """Rounding each part by itself would charge a micro too much."""
    exact = sum(Fraction(count * rate_of(rates, unit)) for unit, count in counts.items())
    scaled = exact * demand_ppm / (UNITS_PER_RATE * DEMAND_NEUTRAL_PPM)

    assert 0 <= cost_micros(rates, counts, demand_ppm) - scaled < 1


@given(st.data())
def test_quote_covers_every_usage_within_its_bounds(data: st.DataObject) -> None:
    """What is held is enough for any answer, and for whatever the provider's cache made of the prompt."""
    call = data.draw(quotes())
    usage = data.draw(usages_within(call))

    assert cost_micros(call.rates, usage.counts, call.demand_ppm) <= call.amount_micros
    assert charge_micros(call, usage) == cost_micros(call.rates, usage.counts, call.demand_ppm)


@given(quotes(), usages)
@example(
    quote({Unit.PROMPT_TOKEN: 1, Unit.COMPLETION_TOKEN: 1}, {Unit.PROMPT_TOKEN: 1, Unit.COMPLETION_TOKEN: 1}),
    Usage({Unit.PROMPT_TOKEN: 2**63, Unit.COMPLETION_TOKEN: 2**63}, UsageSource.REPORTED),
)
def test_charge_is_never_below_zero_nor_above_the_quote(call: Quote, usage: Usage) -> None:
    """Whatever a provider reports, in numbers of any size."""
    assert 0 <= charge_micros(call, usage) <= call.amount_micros


@given(quotes())
def test_usage_of_nothing_costs_nothing(call: Quote) -> None:
    """An explicit zero is a report like any other."""
    assert charge_micros(call, Usage({Unit.PROMPT_TOKEN: 0, Unit.COMPLETION_TOKEN: 0}, UsageSource.REPORTED)) == 0


@given(quotes(), st.sampled_from(Unit))
def test_reports_beyond_any_call_are_capped_before_they_are_multiplied(call: Quote, unit: Unit) -> None:
    """A report of a million digits must not cost a second of arithmetic."""
    beyond, capped = (Usage({unit: count}, UsageSource.REPORTED) for count in (10**1000, COUNT_MAX))

    assert charge_micros(call, beyond) == charge_micros(call, capped)


@given(rates, counts, st.sampled_from(PROMPT_KINDS))
def test_a_part_of_the_prompt_without_a_rate_costs_what_the_prompt_costs(rates: Rates, count: int, unit: Unit) -> None:
    """A provider that caches for nothing is no reason to give the prompt away."""
    plain = {name: rate for name, rate in rates.items() if name is not unit}

    assert cost_micros(plain, {unit: count}) == cost_micros(plain, {Unit.PROMPT_TOKEN: count})


@given(quotes(), st.integers(0, 10**15))
@example(
    quote(
        {Unit.PROMPT_TOKEN: 3, Unit.COMPLETION_TOKEN: 7},
        {Unit.PROMPT_TOKEN: 1, Unit.COMPLETION_TOKEN: 30},
        choices=3,
        demand_ppm=1_999_999,
    ),
    0,
)
def test_affordable_tokens_are_exactly_the_most_that_fit(call: Quote, spendable_micros: int) -> None:
    """So many fit, and one more does not; 0 is said only when not even one does."""

    def needed(completion_tokens: int) -> int:
        counts_max = {**call.counts_max, Unit.COMPLETION_TOKEN: completion_tokens * call.choices}
        return quote(call.rates, counts_max, choices=call.choices, demand_ppm=call.demand_ppm).amount_micros

    tokens = affordable_completion_tokens(call, spendable_micros)

    assert tokens is not None
    assert tokens >= 0
    assert needed(tokens + 1) > spendable_micros
    if tokens:
        assert needed(tokens) <= spendable_micros


def test_a_call_without_output_has_no_length_to_shorten() -> None:
    """An image or an embedding is paid whole or not at all."""
    assert affordable_completion_tokens(quote({Unit.IMAGE: 5}, {Unit.IMAGE: 2}), 10**9) is None


def test_a_receipt_tells_every_count_with_its_rate_and_what_was_frozen() -> None:
    """Whoever multiplies and adds comes to the charge."""
    rates = {Unit.PROMPT_TOKEN: 2_000_000, Unit.CACHED_TOKEN: 500_000, Unit.COMPLETION_TOKEN: 4_000_000}
    call = quote(
        rates,
        {Unit.PROMPT_TOKEN: 100, Unit.COMPLETION_TOKEN: 50},
        demand_ppm=1_500_000,
        price_version="file:1",
    )
    usage = Usage({Unit.PROMPT_TOKEN: 60, Unit.CACHED_TOKEN: 40, Unit.COMPLETION_TOKEN: 10}, UsageSource.REPORTED)

    facts = receipt_facts(call, usage, {"model": "m"})

    assert facts == {
        "model": "m",
        "usage_source": "reported",
        "held_micros": str(call.amount_micros),
        "prompt_tokens": "60",
        "prompt_tokens_rate": "2000000",
        "cached_tokens": "40",
        "cached_tokens_rate": "500000",
        "completion_tokens": "10",
        "completion_tokens_rate": "4000000",
        "price_version": "file:1",
        "demand_ppm": "1500000",
    }
    assert charge_micros(call, usage) == (60 * 2 + 40 // 2 + 10 * 4) * 3 // 2
    assert call.amount_micros == (100 * 2 + 50 * 4) * 3 // 2
