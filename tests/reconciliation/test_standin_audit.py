"""An auditor's tricks at the stand-in for Stripe: for each exactly one ticket appears, and it closes."""

from typing import Any

import pytest
from msgspec.structs import replace

from local.stripe.account import StripeAccount
from shared.base.ids import UserId
from shared.base.payment_mode import PaymentMode
from shared.payments.models import Order, PaymentId
from shared.payouts.models import Payout, PayoutId, PayoutState
from shared.payouts.stripe import StripeSender
from shared.reconciliation.days import day_of, moved
from shared.reconciliation.models import TicketState
from shared.reconciliation.service import AGAIN_DAYS, TRANSFERS_DAYS
from shared.reconciliation.stripe import StripeStatements
from tests.payments.builders import Shop
from tests.payments.stripe_bench import StripeBench
from tests.reconciliation.builders import PRICE, Office

Transaction = dict[str, Any]


class Audited(Office):
    """An office that reads the stand-in's own books."""

    def __init__(self) -> None:
        super().__init__(shop=Shop(StripeBench))
        self.statements: Any = StripeStatements(self.shop.bench.api)

    @property
    def account(self) -> StripeAccount:
        account: StripeAccount = self.shop.bench.account
        return account

    async def sell(self, *, is_told: bool = True) -> tuple[Order, PaymentId]:
        order = await self.shop.order()
        payment_id = self.shop.bench.pay(order)
        await self.hear(is_told=is_told)
        return order, payment_id

    async def hear(self, *, is_told: bool) -> None:
        """Take in what the provider tells, or lose it."""
        if is_told:
            await self.shop.settle()
        else:
            self.shop.bench.deliveries()

    def transactions(self, kind: str) -> list[Transaction]:
        """Of one type, oldest first."""
        listed = self.account.handle("GET", "/v1/balance_transactions", {"limit": "100", "type": kind})["data"]
        found: list[Transaction] = listed[::-1]
        return found

    async def to_the_bank(self, nights: int = 1) -> None:
        """Every evening all that is there goes to the bank, and arrives."""
        for _ in range(nights):
            if self.account.handle("GET", "/v1/balance", {})["available"][0]["amount"] > 0:
                self.account.bank.arrive(self.account.bank.sweep("usd")["id"])
            await self.night()

    def check_one_ticket(self, kind: str, thing: str, *, state: TicketState = TicketState.OPEN) -> None:
        [ticket] = self.all_tickets()
        difference = ticket.difference
        assert (difference.kind.value, difference.thing.kind.value, ticket.state) == (kind, thing, state)


@pytest.fixture
async def office() -> Audited:
    made = Audited()
    await made.shop.open_wallet()
    await made.sell()
    await made.to_the_bank(3)
    assert made.all_tickets() == []
    return made


async def test_whatever_happens_in_the_open_has_no_ticket(office: Audited) -> None:
    """Refunds in parts, one that fails, disputes won and lost, payouts: the three sides agree throughout."""
    bench = office.shop.bench
    _, refunded = await office.sell()
    _, won = await office.sell()
    _, lost = await office.sell()
    await office.to_the_bank()
    bench.give_back(refunded, 100)
    failed = bench.give_back(refunded, 50)
    disputes = [bench.dispute(won), bench.dispute(lost)]
    await office.sell()
    await office.hear(is_told=True)
    await office.to_the_bank()
    bench.fail_refund(failed)
    bench.decide(disputes[0], won=True)
    bench.decide(disputes[1], won=False)
    await office.hear(is_told=True)

    # Disputes took more than there was, and with a balance below zero nothing goes to the bank.
    office.account.bank.top_up("usd", 10_000)
    await office.sell()
    await office.to_the_bank(AGAIN_DAYS + 4)

    assert office.all_tickets() == []
    days = [moved(office.today, -number) for number in range(30, 0, -1)]
    report = await office.finance().report(days[0], days[-1])
    [money] = report.money
    assert money.balance_change_minor == 0, "all of it went to the bank"
    assert (money.took_minor, money.other_minor) == (6 * PRICE, 10_000)
    assert (money.refunds_minor, money.disputes_lost_minor) == (100, PRICE)


async def test_a_charge_that_was_never_told(office: Audited) -> None:
    await office.sell(is_told=False)

    await office.to_the_bank(2)
    office.check_one_ticket("missing_here", "line")

    await office.shop.work()
    await office.to_the_bank(2)
    office.check_one_ticket("missing_here", "line", state=TicketState.RESOLVED)


async def test_a_refund_in_the_dashboard_that_was_never_told(office: Audited) -> None:
    _, payment_id = await office.sell()
    office.shop.bench.give_back(payment_id, 100)
    await office.hear(is_told=False)

    await office.to_the_bank(2)
    office.check_one_ticket("missing_here", "line")

    await office.shop.work()
    await office.to_the_bank(2)
    office.check_one_ticket("missing_here", "line", state=TicketState.RESOLVED)


async def test_an_amount_that_is_not_the_orders(office: Audited) -> None:
    _, _ = await office.sell()
    charge = office.transactions("charge")[-1]["source"]
    office.account.tamper(charge, amount=PRICE - 1)

    await office.to_the_bank(2)
    office.check_one_ticket("amount_differs", "line")

    office.account.tamper(charge, amount=PRICE)
    await office.to_the_bank(2)
    office.check_one_ticket("amount_differs", "line", state=TicketState.RESOLVED)


async def test_a_payout_that_lacks_a_line(office: Audited) -> None:
    await office.sell()
    await office.sell()
    [*_, missing] = office.transactions("charge")
    payout = office.account.bank.arrive(office.account.bank.sweep("usd")["id"])
    office.account.tamper(missing["id"], payout="po_elsewhere")

    await office.night(3)
    office.check_one_ticket("amount_differs", "payout")

    office.account.tamper(missing["id"], payout=payout["id"])
    await office.night(3)
    office.check_one_ticket("amount_differs", "payout", state=TicketState.RESOLVED)


async def test_a_fee_that_is_changed_later(office: Audited) -> None:
    await office.sell()
    sold = office.today
    [*_, changed] = office.transactions("charge")
    await office.to_the_bank(2)
    office.account.tamper(changed["id"], fee=changed["fee"] + 5, net=changed["net"] - 5)

    await office.to_the_bank(AGAIN_DAYS)
    office.check_one_ticket("fee_unexplained", "line")

    await office.settle(sold)
    await office.to_the_bank(2)
    office.check_one_ticket("fee_unexplained", "line", state=TicketState.RESOLVED)
    [book] = await office.books.day_books(sold, sold)
    assert book.sums.fees_minor == changed["fee"] + 5


async def test_a_fee_that_is_not_told_yet(office: Audited) -> None:
    await office.sell()
    [*_, unknown] = office.transactions("charge")
    office.account.tamper(unknown["id"], fee=None)

    await office.night(2)
    office.check_one_ticket("fee_unknown", "line")

    office.account.tamper(unknown["id"], fee=unknown["fee"])
    await office.night(2)
    office.check_one_ticket("fee_unknown", "line", state=TicketState.RESOLVED)


async def test_a_line_that_nobody_shows_any_more(office: Audited) -> None:
    await office.sell()
    await office.sell()
    gone = office.transactions("charge")[-1]
    await office.to_the_bank()
    office.account.tamper(gone["id"], object="nothing")

    await office.to_the_bank(AGAIN_DAYS)
    office.check_one_ticket("missing_there", "day")

    office.account.tamper(gone["id"], object="balance_transaction")
    await office.to_the_bank(2)
    office.check_one_ticket("missing_there", "day", state=TicketState.RESOLVED)
    assert day_of(gone["created"] * 1000) == office.all_tickets()[0].difference.thing.day


async def paid_out(office: Audited, payout_id: str = "p1", *, amount_minor: int = 2_000) -> Payout:
    """What a payout is once it was sent to an earner by the platform's own money."""
    account = office.account
    account.bank.top_up("usd", 10_000)
    asked = {"capabilities": {"stripe_balance": {"stripe_transfers": {"requested": True}}}}
    recipient = account.connect.make_account({"configuration": {"recipient": asked}, "identity": {"country": "US"}})
    account.connect.onboard(recipient["id"])
    payout = Payout(
        payout_id=PayoutId(payout_id),
        owner=UserId("creator"),
        micros=amount_minor * 10_000,
        amount_minor=amount_minor,
        currency="USD",
        destination=recipient["id"],
        state=PayoutState.PAID,
        asked_at_ms=office.clock(),
        is_first=False,
    )
    sent = await StripeSender(office.shop.bench.api, PaymentMode.TEST).send(payout)
    payout = replace(payout, transfer_id=sent.transfer_id)
    office.payouts.kept[payout.payout_id] = payout
    return payout


async def test_a_payout_to_an_earner_agrees_with_its_transfer_and_its_way_back(office: Audited) -> None:
    payout = await paid_out(office)
    await office.to_the_bank(2)
    office.account.connect.make_reversal(str(payout.transfer_id), {})
    office.payouts.kept[payout.payout_id] = replace(payout, state=PayoutState.REVERSED)
    await office.to_the_bank(TRANSFERS_DAYS + 2)

    assert office.all_tickets() == []


async def test_a_transfer_that_no_payout_knows(office: Audited) -> None:
    payout = await paid_out(office)
    del office.payouts.kept[payout.payout_id]

    await office.to_the_bank(2)
    office.check_one_ticket("missing_here", "line")

    office.payouts.kept[payout.payout_id] = payout
    await office.to_the_bank(2)
    office.check_one_ticket("missing_here", "line", state=TicketState.RESOLVED)


async def test_a_transfer_that_came_back_and_is_paid_by_our_books(office: Audited) -> None:
    payout = await paid_out(office)
    await office.to_the_bank(2)
    office.account.connect.make_reversal(str(payout.transfer_id), {})

    await office.to_the_bank(2)
    office.check_one_ticket("missing_here", "line")

    office.payouts.kept[payout.payout_id] = replace(payout, state=PayoutState.REVERSED)
    await office.to_the_bank(2)
    office.check_one_ticket("missing_here", "line", state=TicketState.RESOLVED)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"amount_minor": 1_999}, "amount_differs"),
        ({"currency": "EUR"}, "currency_differs"),
        ({"transfer_id": "tr_other"}, "paid_twice"),
        ({"transfer_id": None, "state": PayoutState.RELEASABLE}, "missing_here"),
    ],
)
async def test_a_transfer_that_is_not_its_payouts(office: Audited, fields: dict[str, Any], kind: str) -> None:
    payout = await paid_out(office)
    office.payouts.kept[payout.payout_id] = replace(payout, **fields)

    await office.to_the_bank(2)
    office.check_one_ticket(kind, "line")

    office.payouts.kept[payout.payout_id] = payout
    await office.to_the_bank(2)
    office.check_one_ticket(kind, "line", state=TicketState.RESOLVED)


async def test_a_payout_that_is_paid_and_that_no_transfer_shows(office: Audited) -> None:
    payout = await paid_out(office)
    forged = replace(payout, payout_id=PayoutId("p2"), transfer_id="tr_none")
    office.payouts.kept[forged.payout_id] = forged

    await office.to_the_bank(TRANSFERS_DAYS)
    assert office.all_tickets() == []
    await office.to_the_bank(2)
    office.check_one_ticket("missing_there", "earner_payout")

    office.payouts.kept[forged.payout_id] = replace(forged, state=PayoutState.HELD)
    await office.to_the_bank()
    office.check_one_ticket("missing_there", "earner_payout", state=TicketState.RESOLVED)
