"""The report's columns add up to what the ledger holds, whatever happened before."""

import csv
import io
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.stripe.refusal import StripeRefusal
from shared.base.ids import AccountId
from shared.ledger.administration import Administration
from shared.ledger.documents import head_from
from shared.ledger.errors import CreditTooLow, NothingExpired
from shared.ledger.models import Origin, Share, account_class
from shared.payments.models import PaymentId
from shared.reconciliation.days import day_of, moved, range_of
from shared.reconciliation.errors import RangeWrong
from shared.reconciliation.finance import FinanceReport, csv_of
from tests.ledger.builders import DAY, engine_on
from tests.payments.builders import CREDIT, PACK, WALLET
from tests.reconciliation.builders import FEE, PRICE, Office

CREATOR = AccountId("earn:mia")
SHARES = (Share(AccountId("house:revenue"), 3), Share(CREATOR, 7))
DOINGS = ("buy", "refund", "dispute", "lose", "win", "gift", "spend", "share", "expire", "undo", "settle", "night")


async def do(office: Office, doing: str, number: int) -> None:
    """One thing that happens in a shop."""
    ledger, bench = office.shop.process().ledger, office.shop.bench
    lines = [line for line in office.statements.shown.values() if line.order_id]
    match doing:
        case "buy":
            await office.buy()
        case "refund" if lines:
            # The stand-in refuses what is refunded or disputed already, and posts nothing.
            with suppress(StripeRefusal):
                await office.refund(lines[number % len(lines)], 1 + number % PRICE)
        case "dispute" if lines:
            bench.dispute(PaymentId(str(lines[number % len(lines)].payment_id)))
            await office.shop.settle()
        case "lose" | "win":
            listed = bench.account.handle("GET", "/v1/disputes", {"limit": "100"})["data"]
            for found in [one for one in listed if one["status"] == "needs_response"][:1]:
                bench.decide(found["id"], won=doing == "win")
            await office.shop.settle()
        case "gift":
            await ledger.grant_promo(WALLET, 5 * CREDIT + number, lifetime_ms=DAY, key=f"gift-{number}", facts={})
        case "spend" | "share":
            shares = SHARES if doing == "share" else SHARES[:1]
            with suppress(CreditTooLow):
                await ledger.debit(WALLET, 3 * CREDIT + number, key=f"{doing}-{number}", facts={}, shares=shares)
        case "expire":
            office.clock.now_ms += DAY // 2
            store = office.shop.ledger_store
            with suppress(NothingExpired):
                await Administration(engine_on(store), store, office.clock).expire(WALLET, office.clock())
        case "settle":
            office.clock.now_ms += 600_000
            await office.settle_ledger()
        case "night":
            await office.night()
        case _:
            pass


async def report_of(office: Office) -> FinanceReport:
    days = sorted(office.house_books.kept)
    return await office.finance().report(days[0], days[-1])


def standing(office: Office, classes: set[str]) -> dict[str, int]:
    """What accounts of these classes hold by origin, counted one by one."""
    sums = {origin.value: 0 for origin in Origin}
    for name, document in office.shop.ledger_store.heads.items():
        if account_class(name) in classes:
            for lot in head_from(name, document).lots:
                sums[lot.origin.value] += lot.remaining_micros
    return sums


def check_owed(office: Office, report: FinanceReport) -> None:
    """What is owed is what stands on accounts, counted one by one."""
    unspent, earned = standing(office, {"user", "card", "pool", "escrow"}), standing(office, {"earn"})
    assert {row.origin: row.unspent_micros for row in report.owed} == unspent
    assert {row.origin: row.creators_settled_micros for row in report.owed} == earned
    assert report.drift_micros == 0


def check_rows(report: FinanceReport) -> None:
    """Each row's columns come to its last one."""
    for row in report.credits:
        came = row.sold_micros - row.disputed_micros + row.promotions_micros
        went = row.revenue_micros + row.breakage_micros + row.other_micros
        assert row.opening_micros + came - went == row.closing_micros
    by_rail = [(row.sold_micros, row.disputed_micros) for row in report.credits_by_rail]
    of_origins = [(row.sold_micros, row.disputed_micros) for row in report.credits]
    assert [sum(column) for column in zip((0, 0), *by_rail, strict=True)] == [
        sum(column) for column in zip((0, 0), *of_origins, strict=True)
    ]
    for money in report.money:
        assert money.revenue_minor == money.took_minor - money.refunds_minor - money.disputes_lost_minor
        left = money.fees_minor + money.transferred_minor + money.paid_out_minor
        assert money.balance_change_minor == money.revenue_minor - left + money.other_minor


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(doings=st.lists(st.tuples(st.sampled_from(DOINGS), st.integers(0, 10_000)), max_size=14))
async def test_the_columns_add_up_to_the_ledger_after_any_history(doings: list[tuple[str, int]]) -> None:
    office = Office()
    await office.shop.open_wallet()
    await office.night()
    for number, (doing, salt) in enumerate(doings):
        await do(office, doing, salt * 100 + number)
    check_owed(office, await report_of(office))

    assert [one for one in office.all_tickets() if one.difference.thing.kind in ("entry", "ledger")] == []

    # Once the day is over and all of it settled, what people hold when it ended is what the house lacks.
    await office.night()
    report = await report_of(office)
    check_owed(office, report)
    check_rows(report)
    for row, owed in zip(report.credits, report.owed, strict=True):
        assert row.closing_micros == owed.unspent_micros + owed.creators_settled_micros
        assert (row.opening_micros, owed.creators_pending_micros) == (0, 0)
    sums = {row.origin: row for row in report.credits}
    assert -sums["paid"].revenue_micros - sums["promo"].revenue_micros == -sum(
        change["delta_micros"]
        for (account_id, _), entry in office.shop.ledger_store.entries.items()
        for change in entry["lots"]
        if account_id == "house:revenue"
    )


async def test_a_month_of_sales_reads_as_it_was() -> None:
    office = Office()
    await office.shop.open_wallet()
    await office.night()
    _, line = await office.buy()
    await office.buy()
    await office.refund(line, 100)
    await office.shop.process().ledger.debit(WALLET, 60 * CREDIT, key="d", facts={}, shares=SHARES)
    await office.night()

    report = await report_of(office)

    [money] = report.money
    assert (money.rail, money.currency, money.took_minor, money.refunds_minor) == ("stripe", "USD", 2 * PRICE, 100)
    assert (money.fees_minor, money.taxes_collected_minor) == (2 * FEE, 0)
    assert money.balance_change_minor == 2 * PRICE - 100 - 2 * FEE
    paid, promo = report.credits
    back = PACK.credits_micros * 100 // PRICE
    assert paid.sold_micros == 2 * PACK.credits_micros - back
    # The bonus is spent first, so all that was earned is promotional.
    assert promo.promotions_micros == 2 * PACK.bonus_micros - PACK.bonus_micros * 100 // PRICE
    assert (paid.revenue_micros, promo.revenue_micros) == (0, 18 * CREDIT)
    assert report.owed[1].creators_settled_micros == 42 * CREDIT
    assert report.ledger_days_missing == []


async def test_a_day_that_is_not_kept_is_named() -> None:
    office = Office()
    await office.shop.open_wallet()
    await office.night()

    report = await office.finance().report(moved(office.today, -1), office.today)

    assert report.ledger_days_missing == [office.today]


async def test_days_follow_each_other_without_a_gap() -> None:
    """However the windows of two days stand mixed on the house's accounts."""
    office = Office()
    await office.shop.open_wallet()
    await office.night()
    for number in range(4):
        office.clock.now_ms += DAY - office.clock.now_ms % DAY - 200_000
        await office.buy()
        await office.settle_ledger()
        office.clock.now_ms += 400_000
        await office.buy()
        await office.shop.process().ledger.debit(WALLET, CREDIT + number, key=f"d{number}", facts={}, shares=SHARES)
        office.clock.now_ms += 2 * 3_600_000
        await office.settle_ledger()
        await office.settle()
        await office.reconcile()

    days = await office.house_books.between("0000", "9999")

    assert len(days) == 5
    total = sum(day.moved.get("house:payments", {}).get("paid", 0) for day in days)
    assert total == -7 * PACK.credits_micros, "the eighth purchase is of a day that is not over"
    assert office.all_tickets() == []


async def test_the_csv_says_what_the_json_says() -> None:
    office = Office()
    await office.shop.open_wallet()
    await office.buy()
    await office.night()
    report = await report_of(office)

    rows = list(csv.DictReader(io.StringIO(csv_of(report))))

    told = {(row["section"], row["rail"], row["currency"], row["column"]): int(row["amount"]) for row in rows}
    assert told["money", "stripe", "USD", "took_minor"] == report.money[0].took_minor
    assert told["money", "stripe", "USD", "taxes_collected_minor"] == 0
    assert told["credits", "", "paid", "sold_micros"] == report.credits[0].sold_micros
    assert told["owed", "", "promo", "unspent_micros"] == report.owed[1].unspent_micros
    assert told["ledger", "", "", "drift_micros"] == 0


def test_a_range_is_a_month_or_two_days() -> None:
    assert range_of("2028-02", None, None) == ("2028-02-01", "2028-02-29")
    assert range_of("2026-12", None, None) == ("2026-12-01", "2026-12-31")
    assert range_of(None, "2026-01-05", "2026-02-01") == ("2026-01-05", "2026-02-01")
    assert day_of(1_800_000_000_000) == "2027-01-15"


@pytest.mark.parametrize(
    "wrong",
    [
        (None, None, None),
        ("2026-13", None, None),
        ("2026-01", "2026-01-01", None),
        (None, "2026-01-01", None),
        (None, "2026-01-02", "2026-01-01"),
        (None, "2026-02-30", "2026-03-01"),
        (None, "2020-01-01", "2026-01-01"),
    ],
)
def test_what_is_no_range_is_refused(wrong: tuple[str | None, str | None, str | None]) -> None:
    with pytest.raises(RangeWrong):
        range_of(*wrong)
