"""The demo's payout: earnings leave as money, by an operator, a task and the webhook of the stand-in for Stripe."""

import time
from collections.abc import Callable, Iterator

import requests

from local.deployment import Deployment
from local.earner import Earner
from local.stack import Stack
from local.treasury import Treasury
from shared.base.micros import format_credits

EARNED_MICROS = 2_500_000_000
PLATFORM_MINOR = 10_000
"""What the platform has at the stand-in to pay others from; one purchase is less than a payout."""
WAIT_S = 1
TIMEOUT_S = 30.0


def pay_out(
    stack: Stack, deployment: Deployment, token: str, uid: str, expect: Callable[[bool, str], None]
) -> Iterator[str]:
    """Be onboarded, ask, be approved, be paid; a line for each as it is done."""
    Treasury(deployment.environment).grant_earnings(uid, EARNED_MICROS)
    yield f"{_credits(EARNED_MICROS)} of earnings, posted by hand: to earn the minimum would take a demo too long"
    yield f"here earnings and new bank details wait {WAIT_S} second, by PAYOUT_WAIT_S; in production 7 and 3 days"
    stack.stripe.act(deployment.stripe_key, "top_up", "usd", amount=PLATFORM_MINOR)
    earner = Earner(deployment, stack.stripe, token)
    earner.onboard()
    payout = earner.ask(EARNED_MICROS)
    amount = f"{payout['amount_minor'] / 100:.2f} {payout['currency']}"
    yield f"asked: {_credits(payout['micros'])} set aside for {amount}, {payout['state']} for {payout['waits_for']}"
    headers = {"authorization": f"Bearer {token}"}
    left = requests.get(f"{deployment.url}/v1/earnings", headers=headers, timeout=TIMEOUT_S).json()
    expect(
        left["settled_paid_micros"] == EARNED_MICROS - payout["micros"],
        "what is set aside is no longer there to spend",
    )
    time.sleep(WAIT_S)
    earner.approve(payout)
    earner.wait_until(payout, "transferring")
    yield "approved by an operator; a task transferred it, and sent it on to the bank"
    earner.arrive(payout)
    paid = earner.wait_until(payout, "paid")
    yield f"the bank took it, the webhook told: {paid['state']}"


def _credits(micros: int) -> str:
    return f"{format_credits(micros)} credits"
