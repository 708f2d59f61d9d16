"""How a model is listed: prices in our integers, and in the decimal text that tools for OpenRouter read."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.catalog.listing import credits_text, listed
from shared.catalog.models import PRICE_MICROS_MAX
from tests.catalog.builders import model, price


@pytest.mark.parametrize(
    ("amount", "decimals", "text"),
    [
        (None, 12, "0"),
        (1, 12, "0.000000000001"),
        (375_000_000, 12, "0.000375"),
        (10**13, 12, "10"),
        (450_000, 6, "0.45"),
    ],
)
def test_credits_are_told_exactly(amount: int | None, decimals: int, text: str) -> None:
    """No float, no exponent, no zeros at the end."""
    assert credits_text(amount, decimals) == text


@given(amount=st.integers(0, PRICE_MICROS_MAX), decimals=st.sampled_from([6, 12]))
def test_the_text_is_the_number(amount: int, decimals: int) -> None:
    """Whoever reads it as a decimal has the price."""
    assert Decimal(credits_text(amount, decimals)) * 10**decimals == amount


def test_a_listed_model_has_openrouters_prices_beside_ours() -> None:
    """Credits for a token; a cache that has no price of its own costs what the prompt does."""
    told = listed(model(price_version="3"), price(375_000_000, cached_micros_per_mtok=37_500_000))

    assert (told.owned_by, told.context_length, told.output_tokens_max, told.price_version) == (
        "maker",
        1_000,
        100,
        "3",
    )
    prices = told.pricing
    assert (prices.prompt_micros_per_mtok, prices.cached_micros_per_mtok) == (375_000_000, 37_500_000)
    assert (prices.prompt, prices.completion, prices.image, prices.request) == ("0.000375", "0.000375", "0", "0")
    assert (prices.input_cache_read, prices.input_cache_write) == ("0.0000375", "0.000375")
