"""An auditor's tricks at the stand-ins for Razorpay and PayPal: for each exactly one ticket appears, and it closes."""

from abc import ABC, abstractmethod
from typing import Any

import pytest
from msgspec.structs import replace

from local.razorpay.settlements import SETTLED_AFTER_S
from shared.payments.models import Order, PaymentId
from shared.reconciliation.days import day_of, end_ms, moved
from shared.reconciliation.models import TicketState
from shared.reconciliation.paypal import PayPalStatements
from shared.reconciliation.razorpay import RazorpayStatements
from shared.reconciliation.service import AGAIN_DAYS, LATE_DAYS
from tests.ledger.builders import DAY
from tests.payments.builders import PACK, Shop
from tests.payments.paypal_bench import PayPalBench
from tests.payments.razorpay_bench import RazorpayBench
from tests.reconciliation.builders import Office
from tests.risk.memory import MemoryRisk


class Audited(Office, ABC):
    """An office that reads a stand-in's own books."""

    def __init__(self, bench: Any, statements: Any) -> None:
        super().__init__(shop=Shop(bench))
        self.statements = statements(self.shop.bench.api)

    @property
    def account(self) -> Any:
        return self.shop.bench.account

    @property
    def price(self) -> int:
        return PACK.prices_minor[self.shop.bench.currency]

    async def sell(self, *, is_told: bool = True) -> tuple[Order, PaymentId]:
        self.shop.risk_store = MemoryRisk()
        order = await self.shop.order()
        payment_id = self.shop.bench.pay(order)
        # Where we are the ones who capture, the provider does for us what we are not told of.
        self.shop.bench.subject(payment_id)
        await self.hear(is_told=is_told)
        return order, payment_id

    async def hear(self, *, is_told: bool) -> None:
        """Take in what the provider tells, or lose it."""
        if is_told:
            await self.shop.settle()
        else:
            self.shop.bench.deliveries()

    async def days_pass(self, nights: int = 1) -> None:
        """Every evening what is due goes to the bank."""
        for _ in range(nights):
            self.evening()
            await self.night()

    @abstractmethod
    def evening(self) -> None:
        """What the provider does at the end of a day."""

    def check_one_ticket(self, kind: str, thing: str, *, state: TicketState = TicketState.OPEN) -> None:
        [ticket] = self.all_tickets()
        difference = ticket.difference
        assert (difference.kind.value, difference.thing.kind.value, ticket.state) == (kind, thing, state)
        assert difference.rail is self.shop.bench.name


class RazorpayAudited(Audited):
    """Razorpay settles two days later, and tells what is in a settlement."""

    def __init__(self) -> None:
        super().__init__(RazorpayBench, RazorpayStatements)
        self.arrives = True

    def evening(self) -> None:
        if self.due() > 0:
            settlement = self.account.sweep("INR")
            if self.arrives:
                self.account.reach_bank(settlement["id"])

    def due(self) -> int:
        old = self.clock() // 1000 - SETTLED_AFTER_S
        items = self.account.settlements.items
        due = [one for one in items if one["settlement_id"] is None and one["created_at"] <= old]
        return sum(one["credit"] - one["debit"] for one in due)


class PayPalAudited(Audited):
    """PayPal tells the balance of any day, and lists what happened hours later."""

    def __init__(self) -> None:
        super().__init__(PayPalBench, PayPalStatements)

    def evening(self) -> None:
        total = self.account.reports.total("USD")
        if total > 0:
            self.account.reports.withdraw("USD")


@pytest.fixture
async def razorpay() -> RazorpayAudited:
    made = RazorpayAudited()
    await _begun(made)
    return made


@pytest.fixture
async def paypal() -> PayPalAudited:
    made = PayPalAudited()
    await _begun(made)
    return made


@pytest.fixture(params=[RazorpayAudited, PayPalAudited])
async def office(request: pytest.FixtureRequest) -> Audited:
    made: Audited = request.param()
    await _begun(made)
    return made


async def _begun(made: Audited) -> None:
    # Noon, so that what happens within hours stays on its day.
    made.clock.now_ms = end_ms(made.today) - DAY // 2
    await made.shop.open_wallet()
    await made.days_pass(2)
    await made.sell()
    await made.days_pass(4)
    assert made.all_tickets() == []


async def test_whatever_happens_in_the_open_has_no_ticket(office: Audited) -> None:
    """Refunds in parts, disputes won and lost, money to the bank: all sides agree throughout."""
    bench = office.shop.bench
    _, refunded = await office.sell()
    _, won = await office.sell()
    _, lost = await office.sell()
    await office.days_pass()
    bench.give_back(refunded, 100)
    disputes = [bench.dispute(won), bench.dispute(lost)]
    await office.sell()
    await office.hear(is_told=True)
    await office.days_pass()
    bench.decide(disputes[0], won=True)
    bench.decide(disputes[1], won=False)
    # The dispute took more than one sale brings after fees, and below zero nothing goes to the bank.
    await office.sell()
    await office.sell()
    await office.hear(is_told=True)

    await office.days_pass(AGAIN_DAYS + LATE_DAYS)

    assert office.all_tickets() == []
    days = [moved(office.today, -number) for number in range(40, 0, -1)]
    report = await office.finance().report(days[0], days[-1])
    [money] = report.money
    assert money.balance_change_minor == 0, "all of it went to the bank"
    assert (money.took_minor, money.other_minor) == (7 * office.price, 0)
    assert (money.refunds_minor, money.disputes_lost_minor) == (100, office.price)
    assert money.fees_minor > 0


async def test_a_payment_that_was_never_told(office: Audited) -> None:
    await office.sell(is_told=False)

    await office.days_pass(2)
    office.check_one_ticket("missing_here", "line")

    await office.shop.work()
    await office.days_pass(2)
    office.check_one_ticket("missing_here", "line", state=TicketState.RESOLVED)


async def test_a_refund_in_the_dashboard_that_was_never_told(office: Audited) -> None:
    await office.sell()
    _, payment_id = await office.sell()
    office.shop.bench.give_back(payment_id, 100)
    await office.hear(is_told=False)

    await office.days_pass(2)
    office.check_one_ticket("missing_here", "line")

    await office.shop.work()
    await office.days_pass(2)
    office.check_one_ticket("missing_here", "line", state=TicketState.RESOLVED)


async def test_an_order_whose_payment_its_provider_does_not_show(office: Audited) -> None:
    order, payment_id = await office.sell()
    kept = office.shop.store.orders[order.order_id]
    forged = replace(kept.order, payment_id=PaymentId("forged"))
    office.shop.store.orders[order.order_id] = replace(kept, order=forged)
    await office.days_pass(4)
    found = office.open_tickets()

    assert ("missing_there", "order") in found

    office.shop.store.orders[order.order_id] = kept
    await office.days_pass(2)
    assert office.open_tickets() == []
    assert kept.order.payment_id == payment_id


async def test_two_payments_for_one_order_are_one_ticket_until_one_is_given_back(office: Audited) -> None:
    order, _ = await office.sell()
    _, second = await office.sell(is_told=False)
    office.shop.bench.claim(second, order)
    if isinstance(office, PayPalAudited):
        office.account.reports.tamper(second, custom_field=order.order_id)

    await office.days_pass(3)
    office.check_one_ticket("paid_twice", "line")

    office.shop.bench.give_back(second, office.price)
    await office.hear(is_told=False)
    await office.days_pass(3)
    office.check_one_ticket("paid_twice", "line", state=TicketState.RESOLVED)


async def test_a_fee_that_a_settlement_counts_in_another_way(razorpay: RazorpayAudited) -> None:
    _, payment_id = await razorpay.sell()
    items = razorpay.account.settlements
    [was] = [one for one in items.items if one["entity_id"] == payment_id]
    fee, credit = was["fee"], was["credit"]
    items.tamper(payment_id, fee=fee + 500, credit=credit - 500)

    await razorpay.days_pass(5)
    razorpay.check_one_ticket("fee_unexplained", "content")

    items.tamper(payment_id, fee=fee, credit=credit)
    await razorpay.days_pass()
    assert ("fee_unexplained", "content") not in razorpay.open_tickets()


async def test_a_settlement_that_never_reached_the_bank(razorpay: RazorpayAudited) -> None:
    await razorpay.sell()
    razorpay.arrives = False
    await razorpay.days_pass(5)
    razorpay.check_one_ticket("missing_there", "payout")

    [settlement] = [
        one for one in razorpay.account.handle("GET", "/v1/settlements", {})["items"] if one["status"] == "created"
    ]
    razorpay.account.reach_bank(settlement["id"])
    await razorpay.days_pass()
    razorpay.check_one_ticket("missing_there", "payout", state=TicketState.RESOLVED)


async def test_a_settlement_of_another_amount(razorpay: RazorpayAudited) -> None:
    await razorpay.sell()
    await razorpay.days_pass(2)
    razorpay.evening()
    settlement = razorpay.account.handle("GET", "/v1/settlements", {})["items"][0]
    razorpay.account.tamper(settlement["id"], amount=settlement["amount"] - 1)
    await razorpay.days_pass(3)
    razorpay.check_one_ticket("amount_differs", "payout")
    assert settlement["utr"] in razorpay.all_tickets()[0].difference.theirs

    razorpay.account.tamper(settlement["id"], amount=settlement["amount"])
    await razorpay.days_pass()
    razorpay.check_one_ticket("amount_differs", "payout", state=TicketState.RESOLVED)


async def test_what_left_the_balance_without_a_transaction(paypal: PayPalAudited) -> None:
    await paypal.sell()
    paypal.account.reports.leak("USD", "1.00")

    await paypal.days_pass(3)
    paypal.check_one_ticket("amount_differs", "balance")

    paypal.account.reports.leak("USD", "-1.00")
    await paypal.days_pass()
    paypal.check_one_ticket("amount_differs", "balance", state=TicketState.RESOLVED)


async def test_a_day_that_paypal_does_not_have_whole_waits(paypal: PayPalAudited) -> None:
    await paypal.sell()
    paypal.clock.now_ms = end_ms(paypal.today) + 1
    assert not (await paypal.settle()).finished

    paypal.clock.now_ms += 4 * 3_600_000
    done = await paypal.settle()
    assert (done.finished, done.lines) == (True, 1)
    assert day_of(paypal.clock()) == paypal.today
