"""PayPal's amounts are decimal strings in whole units of a currency; ours are integers in its smallest one (ISO 4217).

https://developer.paypal.com/api/rest/reference/currency-codes/. Forints and Taiwan dollars have hundredths in ISO 4217,
and PayPal takes none of them; yen have none anywhere.
"""

import re
from collections.abc import Mapping

from shared.payments.models import Money

DIGITS: Mapping[str, int] = {
    **dict.fromkeys(
        ("AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "ILS", "INR"),
        2,
    ),
    **dict.fromkeys(("MXN", "MYR", "NOK", "NZD", "PHP", "PLN", "SEK", "SGD", "THB", "TWD", "USD"), 2),
    "JPY": 0,
}
"""Every currency that PayPal takes, and how many digits its smallest unit stands behind the point."""
WHOLE_UNITS_ONLY = frozenset({"HUF", "JPY", "TWD"})
"""A point in such an amount is an error to PayPal."""
_VALUE = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,6}))?")


class AmountOdd(Exception):
    """Not an amount that PayPal and we can both state exactly."""


def value_of(money: Money) -> str:
    """The amount as PayPal takes it. Raise AmountOdd for a currency or an amount that it does not take."""
    if money.currency not in DIGITS or money.amount_minor < 0:
        raise AmountOdd(money.currency)
    units, rest = divmod(money.amount_minor, 10 ** DIGITS[money.currency])
    if money.currency in WHOLE_UNITS_ONLY:
        if rest:
            raise AmountOdd(money.currency)
        return str(units)
    return f"{units}.{rest:0{DIGITS[money.currency]}d}"


def money_of(amount: object) -> Money:
    """What an amount of PayPal's says, to the last unit. Raise AmountOdd for anything else."""
    if not isinstance(amount, Mapping):
        raise AmountOdd("none")
    value, currency = amount.get("value"), amount.get("currency_code")
    digits = DIGITS.get(currency) if isinstance(currency, str) else None
    found = _VALUE.fullmatch(value) if isinstance(value, str) else None
    if digits is None or found is None:
        raise AmountOdd(str(currency))
    units, behind = found[1], found[2] or ""
    if behind[digits:].strip("0"):
        raise AmountOdd(str(currency))
    return Money(int(units + behind[:digits].ljust(digits, "0")), str(currency))
