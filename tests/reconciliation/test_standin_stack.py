"""The whole of it on Firestore's emulator and the stand-in for Stripe: a purchase, its day, its ticket, its report."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from local.buyer import Buyer
from local.deployment import STRIPE_PATH, WEBHOOK_SECRET, Deployment
from local.stack import Stack
from shared.reconciliation.days import day_of, moved
from tests.clients import add_member
from tests.reconciliation.test_emulator import app_of

pytestmark = pytest.mark.stack


@pytest.fixture
def shop(stack: Stack, project_id: str) -> Iterator[Deployment]:
    """One whose account at the provider nobody else pays into."""
    with Deployment(stack, project_id, events=False) as started:
        yield started


@contextmanager
def nobody_told(stack: Stack, deployment: Deployment) -> Iterator[None]:
    """What happens meanwhile at the provider is told to nobody, then or later."""
    stack.stripe.hook(deployment.stripe_key, "", "")
    try:
        yield
    finally:
        stack.stripe.hook(deployment.stripe_key, deployment.url + STRIPE_PATH, WEBHOOK_SECRET)


async def test_a_purchase_agrees_and_one_that_we_were_not_told_of_is_a_ticket_until_it_is_looked_at(
    stack: Stack, shop: Deployment
) -> None:
    buyer = Buyer(shop, stack.stripe, add_member(stack, shop).token)
    buyer.buy("popular")
    missed = buyer.order()
    with nobody_told(stack, shop):
        buyer.pay(missed)
    today = day_of(time.time_ns() // 1_000_000)
    app = app_of(shop, days_later=1)

    settled = await app.daily_settlement.run(today)
    await app.daily_settlement.run()
    await app.reconciliation.run()
    tickets = [ticket for _, ticket in await app.tickets.open(None)]

    assert settled.lines >= 2
    assert Counter(ticket.difference.kind.value for ticket in tickets)["missing_here"] == 1

    # The ticket had the charge looked at, by the stack's own queue.
    buyer.wait_until(missed, "granted")
    await app.reconciliation.run()
    kinds = Counter(ticket.difference.kind.value for _, ticket in await app.tickets.open(None))
    assert kinds["missing_here"] == 0
    report = await app.finance.report(today, today)
    [money] = report.money
    assert money.took_minor >= 499 + 99
    assert money.fees_minor > 0


async def test_purchases_at_razorpay_and_paypal_agree_with_their_books_and_one_of_each_that_was_never_told_is_a_ticket(
    stack: Stack, shop: Deployment
) -> None:
    buyer = Buyer(shop, stack.stripe, add_member(stack, shop).token)
    rupees = buyer.order_by_razorpay()
    stack.razorpay.act(shop.razorpay_credentials, "pay", rupees["parameters"]["order_id"])
    buyer.wait_until(rupees, "granted")
    dollars = buyer.order(rail="paypal")
    stack.paypal.act(shop.paypal_client_id, "approve", dollars["url"].rpartition("/")[2])
    buyer.wait_until(dollars, "granted")
    stack.razorpay.hook(shop.razorpay_credentials, "", "")
    missed = buyer.order_by_razorpay()
    stack.razorpay.act(shop.razorpay_credentials, "pay", missed["parameters"]["order_id"])
    today = day_of(time.time_ns() // 1_000_000)
    # PayPal's reports would be whole three hours after midnight.
    stack.paypal.act(shop.paypal_client_id, "refresh", f"{moved(today, 1)}T03:00:00+00:00")
    app = app_of(shop, days_later=1)

    await app.daily_settlement.run(today)
    await app.daily_settlement.run()
    await app.reconciliation.run()

    tickets = [ticket.difference for _, ticket in await app.tickets.open(None)]
    assert [(one.rail.value, one.kind.value, one.thing.kind.value) for one in tickets] == [
        ("razorpay", "missing_here", "line")
    ]
    # The ticket had the payment looked at, by the stack's own queue.
    buyer.wait_until(missed, "granted")
    await app.reconciliation.run()
    assert await app.tickets.open(None) == []
    report = await app.finance.report(today, today)
    took = {(row.rail, row.currency): row.took_minor for row in report.money}
    assert took["paypal", "USD"] == dollars["amount_minor"]
    assert took["razorpay", "INR"] == rupees["amount_minor"] + missed["amount_minor"]
