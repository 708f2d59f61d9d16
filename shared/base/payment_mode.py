"""Whether a deployment sells for money or for a provider's test money, and which of the two its keys are for.

One of the two for all ways in and out: credits that test cards paid for must not be spent, earned or paid out beside
those that cost money. So every key must be for the deployment's mode, and no key reaches an object of the other one;
what Stripe says of the mode of its events and objects is checked besides.
"""

import re
from enum import StrEnum
from urllib.parse import urlsplit

PAYPAL_SANDBOX_HOST = "api-m.sandbox.paypal.com"
"""https://developer.paypal.com/api/rest/requests/: any other host is PayPal itself, or stands before it."""
TEST_CHAINS = frozenset({"11155111", "84532", "421614", "11155420", "80002", "43113", "31337"})
"""Sepolia, those of Base, Arbitrum and Optimism on it, Amoy, Fuji, and chains on one's own machine. Anybody has their
dollars for the asking: https://developers.circle.com/stablecoins/usdc-contract-addresses."""
_STRIPE_KEY = re.compile(r"(?:sk|rk)_(live|test)_")
"""Secret and restricted keys: https://docs.stripe.com/keys."""
_RAZORPAY_KEY = re.compile(r"rzp_(live|test)_")
"""https://razorpay.com/docs/payments/dashboard/account-settings/api-keys/."""


class PaymentMode(StrEnum):
    """Of a deployment, a key, an event or an object."""

    LIVE = "live"
    TEST = "test"

    @property
    def is_live(self) -> bool:
        """As Stripe says it in `livemode`."""
        return self is PaymentMode.LIVE


def stripe_mode(api_key: str) -> PaymentMode | None:
    """Which mode a key of Stripe's is for; None when it does not say."""
    return _named(_STRIPE_KEY, api_key)


def razorpay_mode(key_id: str) -> PaymentMode | None:
    """The same for Razorpay, whose events and objects do not say it."""
    return _named(_RAZORPAY_KEY, key_id)


def paypal_mode(base_url: str) -> PaymentMode:
    """Which of PayPal's two worlds is at an address."""
    return PaymentMode.TEST if urlsplit(base_url).hostname == PAYPAL_SANDBOX_HOST else PaymentMode.LIVE


def chain_mode(chain_id: str) -> PaymentMode:
    """Whether the dollars of a chain are worth any."""
    return PaymentMode.TEST if chain_id in TEST_CHAINS else PaymentMode.LIVE


def _named(pattern: re.Pattern[str], key: str) -> PaymentMode | None:
    found = pattern.match(key)
    return PaymentMode(found[1]) if found else None
