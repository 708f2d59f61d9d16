"""PayPal's decimal strings and our integers: the same money, to the last unit, in every currency that PayPal takes."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.payments.models import Money
from shared.payments.paypal.amounts import DIGITS, WHOLE_UNITS_ONLY, AmountOdd, money_of, value_of

amounts = st.integers(0, 10**14)


@given(minor=amounts, currency=st.sampled_from(sorted(set(DIGITS) - WHOLE_UNITS_ONLY)))
def test_what_is_written_is_read_back(minor: int, currency: str) -> None:
    money = Money(minor, currency)
    value = value_of(money)

    assert money_of({"value": value, "currency_code": currency}) == money
    assert Decimal(value) * 100 == minor


@given(units=amounts, currency=st.sampled_from(sorted(WHOLE_UNITS_ONLY)))
def test_where_there_are_no_decimals_none_are_written(units: int, currency: str) -> None:
    """A point is an error to PayPal, whatever ISO 4217 says of fillers."""
    money = Money(units * 10 ** DIGITS[currency], currency)

    assert value_of(money) == str(units)
    assert money_of({"value": str(units), "currency_code": currency}) == money


@pytest.mark.parametrize(
    ("minor", "currency", "value"),
    [(99, "USD", "0.99"), (5, "EUR", "0.05"), (39_900, "INR", "399.00"), (499, "JPY", "499"), (49_900, "HUF", "499")],
)
def test_some_amounts(minor: int, currency: str, value: str) -> None:
    assert value_of(Money(minor, currency)) == value


@pytest.mark.parametrize("money", [Money(101, "HUF"), Money(1, "TWD"), Money(-1, "USD"), Money(1, "KWD"), Money(1, "")])
def test_what_paypal_does_not_take_is_not_written(money: Money) -> None:
    with pytest.raises(AmountOdd):
        value_of(money)


@pytest.mark.parametrize("value", ["4.990", "4.99000", "004.99"])
def test_zeros_change_nothing(value: str) -> None:
    assert money_of({"value": value, "currency_code": "USD"}) == Money(499, "USD")


ODD = [
    None,
    "4.99",
    {"value": "4.99"},
    {"currency_code": "USD"},
    {"value": 4.99, "currency_code": "USD"},
    {"value": "4.99", "currency_code": "usd"},
    {"value": "4.99", "currency_code": ["USD"]},
    *(
        {"value": value, "currency_code": "USD"}
        for value in ("", "-4.99", "+4.99", "4,99", "4.999", "4.", ".99", "1e2")
    ),
    *(
        {"value": value, "currency_code": "USD"}
        for value in ("NaN", "Infinity", " 4.99", "4.99\n", "٤.٩٩", "0x10", "4_9")
    ),
    {"value": "499.5", "currency_code": "JPY"},
    {"value": "9" * 40, "currency_code": "USD"},
]


@pytest.mark.parametrize("amount", ODD)
def test_what_is_not_exact_is_no_amount(amount: object) -> None:
    with pytest.raises(AmountOdd):
        money_of(amount)
