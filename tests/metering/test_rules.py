"""Prices, quotes and charges, as properties over all prices and counts there can be."""

from fractions import Fraction

from hypothesis import example, given
from hypothesis import strategies as st

from shared.metering.models import Quote, TokenPrice, Usage, UsageSource
from shared.metering.rules import (
    TOKENS_MAX,
    TOKENS_PER_MTOK,
    affordable_completion_tokens,
    charge_micros,
    cost_micros,
    quote,
)

prices = st.builds(TokenPrice, st.integers(1, 10**10), st.integers(1, 10**10))
counts = st.integers(0, 10**7)
quotes = st.builds(
    lambda price, prompt, completion, choices: quote(
        price, prompt_tokens_max=prompt, completion_tokens_max=completion, choices=choices
    ),
    prices,
    counts,
    st.integers(1, 10**6),
    st.integers(1, 8),
)
usages = st.builds(Usage, st.integers(0, 10**30), st.integers(0, 10**30), st.sampled_from(UsageSource))


@given(prices, counts, counts)
@example(TokenPrice(1, 1), 1, 0)
@example(TokenPrice(1, 1), 500_000, 500_000)
def test_cost_is_rounded_up_once_and_by_less_than_a_micro(price: TokenPrice, prompt: int, completion: int) -> None:
    """Rounding each part by itself would charge a micro too much."""
    exact = Fraction(prompt * price.prompt_micros_per_mtok + completion * price.completion_micros_per_mtok)

    assert 0 <= cost_micros(price, prompt, completion) - exact / TOKENS_PER_MTOK < 1


@given(quotes, st.data())
def test_quote_covers_every_usage_within_its_bounds(call: Quote, data: st.DataObject) -> None:
    """What is held is enough for any answer the provider was allowed to give."""
    prompt = data.draw(st.integers(0, call.prompt_tokens_max))
    completion = data.draw(st.integers(0, call.completion_tokens_max * call.choices))

    assert cost_micros(call.price, prompt, completion) <= call.amount_micros


@given(quotes, usages)
@example(
    quote(TokenPrice(1, 1), prompt_tokens_max=1, completion_tokens_max=1, choices=1),
    Usage(2**63, 2**63, UsageSource.REPORTED),
)
def test_charge_is_never_below_zero_nor_above_the_quote(call: Quote, usage: Usage) -> None:
    """Whatever a provider reports, in numbers of any size."""
    assert 0 <= charge_micros(call, usage) <= call.amount_micros


@given(quotes, st.data())
def test_charge_within_the_bounds_is_the_exact_cost(call: Quote, data: st.DataObject) -> None:
    """The cap changes nothing for an honest report."""
    prompt = data.draw(st.integers(0, call.prompt_tokens_max))
    completion = data.draw(st.integers(0, call.completion_tokens_max * call.choices))
    usage = Usage(prompt, completion, UsageSource.REPORTED)

    assert charge_micros(call, usage) == cost_micros(call.price, prompt, completion)


@given(quotes)
def test_usage_of_nothing_costs_nothing(call: Quote) -> None:
    """An explicit zero is a report like any other."""
    assert charge_micros(call, Usage(0, 0, UsageSource.REPORTED)) == 0


@given(quotes)
def test_reports_beyond_any_call_are_capped_before_they_are_multiplied(call: Quote) -> None:
    """A report of a million digits must not cost a second of arithmetic."""
    beyond = Usage(10**1000, 10**1000, UsageSource.REPORTED)

    assert charge_micros(call, beyond) == charge_micros(call, Usage(TOKENS_MAX, TOKENS_MAX, UsageSource.REPORTED))


@given(quotes, st.integers(0, 10**15))
@example(quote(TokenPrice(3, 7), prompt_tokens_max=1, completion_tokens_max=10, choices=3), 0)
def test_affordable_tokens_are_exactly_the_most_that_fit(call: Quote, spendable_micros: int) -> None:
    """So many fit, and one more does not; 0 is said only when not even one does."""

    def needed(completion_tokens: int) -> int:
        return quote(
            call.price,
            prompt_tokens_max=call.prompt_tokens_max,
            completion_tokens_max=completion_tokens,
            choices=call.choices,
        ).amount_micros

    tokens = affordable_completion_tokens(call, spendable_micros)

    assert tokens >= 0
    assert needed(tokens + 1) > spendable_micros
    if tokens:
        assert needed(tokens) <= spendable_micros
