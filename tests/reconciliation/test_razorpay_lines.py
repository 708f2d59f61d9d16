"""Razorpay's books in our words, from a stateful account that settles as Razorpay does."""

from typing import Any

import pytest

from local.razorpay.account import RazorpayAccount
from local.razorpay.settlements import SETTLED_AFTER_S, fee_of
from shared.payments.models import Money, Subject
from shared.payments.razorpay.shown import ORDER_KEY
from shared.reconciliation.days import day_of, moved
from shared.reconciliation.models import Line, LineKind
from shared.reconciliation.razorpay import RazorpayStatements
from tests.payments.razorpay_bench import AccountApi

ORDER = "a" * 24
NOON_S = 1_800_014_400
"""Noon in UTC, so that an hour more or less stays on the day."""
DAY_S = 86_400


class Merchant:
    """An account, its books as we read them, and a clock of its own."""

    def __init__(self) -> None:
        self.now_s = NOON_S
        self.account = RazorpayAccount(lambda: self.now_s)
        self.statements = RazorpayStatements(AccountApi(self.account))

    @property
    def today(self) -> str:
        return day_of(self.now_s * 1000)

    def sell(self, amount: int = 39_900) -> dict[str, Any]:
        notes = {ORDER_KEY: ORDER}
        order = self.account.handle(
            "POST", "/v1/orders", {"amount": amount, "currency": "INR", "receipt": ORDER, "notes": notes}
        )
        return self.account.pay(order["id"])

    def refund(self, payment_id: str, amount: int) -> dict[str, Any]:
        return self.account.handle("POST", f"/v1/payments/{payment_id}/refund", {"amount": amount})

    def settle(self) -> dict[str, Any]:
        self.now_s += SETTLED_AFTER_S
        return self.account.sweep("INR")

    async def lines(self, day: str | None = None) -> list[Line]:
        found: list[Line] = []
        cursor: str | None = None
        while True:
            page = await self.statements.lines(day or self.today, cursor)
            found += page.lines
            cursor = page.cursor
            if cursor is None:
                return found


@pytest.fixture
def merchant() -> Merchant:
    return Merchant()


async def test_a_payment_says_what_it_cost_and_whose_order_it_is(merchant: Merchant) -> None:
    payment = merchant.sell()

    [line] = await merchant.lines()

    assert (line.kind, line.amount_minor, line.fee_minor) == (LineKind.PAYMENT, 39_900, fee_of(39_900))
    assert (line.payment_id, line.order_id, line.money) == (payment["id"], ORDER, Money(39_900, "INR"))
    assert merchant.statements.subject_of(line) == Subject("payment", payment["id"])
    assert await merchant.statements.line(line.line_id) == line


async def test_what_was_not_captured_is_no_line(merchant: Merchant) -> None:
    order = merchant.account.handle("POST", "/v1/orders", {"amount": 100, "currency": "INR"})
    merchant.account.decline(order["id"])
    merchant.account.pay(order["id"], later=True)

    assert await merchant.lines() == []


async def test_a_refund_that_failed_has_nothing_in_it(merchant: Merchant) -> None:
    payment = merchant.sell()
    refund = merchant.refund(payment["id"], 10_000)
    assert [line.amount_minor for line in await merchant.lines()][1:] == [-10_000]

    merchant.account.fail_refund(refund["id"])

    line = (await merchant.lines())[1]
    assert (line.kind, line.amount_minor, line.is_void) == (LineKind.REFUND, 0, True)


async def test_a_settlement_is_what_its_lines_come_to(merchant: Merchant) -> None:
    first, _ = merchant.sell(), merchant.sell(49_900)
    merchant.refund(first["id"], 10_000)
    settlement = merchant.settle()
    assert [payout.has_arrived for payout in await merchant.statements.bank_payouts(moved(merchant.today, 1))] == [
        False
    ]
    merchant.account.reach_bank(settlement["id"])

    [payout] = await merchant.statements.bank_payouts(moved(merchant.today, 1))
    page = await merchant.statements.payout_lines(payout.payout_id, None)

    assert payout.has_arrived
    assert payout.bank_reference == settlement["utr"]
    assert sum(line.net_minor for line in page.lines) == payout.amount_minor
    assert await merchant.statements.bank_payout(payout.payout_id) == payout
    [line] = await merchant.lines()
    assert (line.kind, line.amount_minor) == (LineKind.PAYOUT, -payout.amount_minor)


async def test_a_settlement_counts_lines_by_the_names_they_are_kept_under(merchant: Merchant) -> None:
    payment = merchant.sell()
    merchant.refund(payment["id"], 10_000)
    told = {line.line_id: (line.net_minor, line.fee_minor) for line in await merchant.lines()}
    settlement = merchant.settle()

    page = await merchant.statements.payout_lines(settlement["id"], None)

    assert {line.line_id: (line.net_minor, line.fee_minor) for line in page.lines} == told


async def test_a_lost_dispute_is_a_line_of_the_day_it_is_settled(merchant: Merchant) -> None:
    payment = merchant.sell()
    merchant.sell(49_900)
    dispute = merchant.account.dispute(payment["id"])
    merchant.account.decide(dispute["id"], "lost")
    assert len(await merchant.lines()) == 2
    settlement = merchant.settle()

    found = {line.kind: line for line in await merchant.lines()}

    line = found[LineKind.DISPUTE]
    assert (line.amount_minor, line.fee_minor, line.about) == (-39_900, 0, dispute["id"])
    assert (line.payment_id, line.money) == (payment["id"], Money(39_900, "INR"))
    assert await merchant.statements.line(line.line_id) == line
    page = await merchant.statements.payout_lines(settlement["id"], None)
    assert line.line_id in {one.line_id for one in page.lines}


@pytest.mark.parametrize("hour", [0, 6, 18, 19, 23])
async def test_a_line_of_a_settlement_stands_on_one_day_at_whatever_hour_it_was_made(
    merchant: Merchant, hour: int
) -> None:
    """Settlements are listed by days in India, which begin at half past six in the evening."""
    payment = merchant.sell()
    merchant.sell(49_900)
    merchant.account.decide(merchant.account.dispute(payment["id"])["id"], "lost")
    merchant.now_s += DAY_S + (hour - 12) * 3600
    settlement = merchant.settle()
    days = [moved(merchant.today, number) for number in (-1, 0, 1)]

    counts = [sum(line.kind is LineKind.DISPUTE for line in await merchant.lines(day)) for day in days]

    assert counts == [0, 1, 0]
    assert len((await merchant.statements.payout_lines(settlement["id"], None)).lines) == 3


async def test_what_the_bank_sent_back_is_in_the_next_settlement(merchant: Merchant) -> None:
    merchant.sell()
    settlement = merchant.settle()
    merchant.account.bounce(settlement["id"])
    assert await merchant.statements.bank_payout(settlement["id"]) is None
    assert await merchant.statements.bank_payouts(moved(merchant.today, 1)) == ()

    merchant.now_s += DAY_S
    again = merchant.account.sweep("INR")

    assert again["amount"] == settlement["amount"]
    assert (await merchant.statements.payout_lines(settlement["id"], None)).lines == ()


async def test_more_lines_than_fit_a_page_are_all_read_once(merchant: Merchant) -> None:
    for _ in range(101):
        merchant.sell(100)
    settlement_lines = 0
    settlement = merchant.settle()

    assert len({line.line_id for line in await merchant.lines(day_of(NOON_S * 1000))}) == 101
    cursor: str | None = None
    while True:
        page = await merchant.statements.payout_lines(settlement["id"], cursor)
        settlement_lines, cursor = settlement_lines + len(page.lines), page.cursor
        if cursor is None:
            break
    assert settlement_lines == 101


async def test_an_order_that_is_nobodys_names_none_of_ours(merchant: Merchant) -> None:
    order = merchant.account.handle(
        "POST", "/v1/orders", {"amount": 100, "currency": "INR", "notes": {ORDER_KEY: "../x"}}
    )
    merchant.account.pay(order["id"])

    assert [line.order_id for line in await merchant.lines()] == [None]


async def test_what_there_is_not_is_no_line(merchant: Merchant) -> None:
    for name in ("pay_x", "adj_x@2027-01-15", "trf_x", "setl_x"):
        assert await merchant.statements.line(name) is None
    assert await merchant.statements.balances(merchant.today) is None
