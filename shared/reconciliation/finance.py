"""The finance report: money by rail and currency, credits by origin, and what is owed. Only kept days are read.

Money is in the smallest unit of its currency, credits in micros. Every amount has the sign of its own word: fees are
what was paid, refunds what was given back. Tax is not computed, and its column says so by standing at zero.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from msgspec import to_builtins

from shared.base.body import Body
from shared.ledger.models import (
    HOUSE_BREAKAGE,
    HOUSE_DISPUTES,
    HOUSE_PAYMENTS,
    HOUSE_PROMOTIONS,
    HOUSE_REVENUE,
    Origin,
)
from shared.reconciliation import days
from shared.reconciliation.errors import ReportTooLong
from shared.reconciliation.houses import HouseBooks, closing_of
from shared.reconciliation.models import DayBook, HouseDay, Micros
from shared.reconciliation.store import DAY_BOOKS_MAX, Books
from shared.reconciliation.sums import LedgerSums, Liabilities

NAMED = (HOUSE_PAYMENTS, HOUSE_DISPUTES, HOUSE_PROMOTIONS, HOUSE_REVENUE, HOUSE_BREAKAGE)
"""The house's accounts that have a column of their own."""


class MoneyRow(Body, frozen=True, kw_only=True):
    """One rail and currency over the whole range. `balance_change_minor` is what all the others come to."""

    rail: str
    currency: str
    revenue_minor: int
    """What was taken, less what was given back and lost in disputes; before fees."""
    took_minor: int
    refunds_minor: int
    disputes_lost_minor: int
    """Withdrawn for disputes, less what came back."""
    fees_minor: int
    fees_unknown: int
    """Lines whose fee the provider has not told."""
    taxes_collected_minor: int
    """Zero: tax is not computed."""
    transferred_minor: int
    """To creators."""
    paid_out_minor: int
    """To our bank."""
    other_minor: int
    balance_change_minor: int


class CreditsRow(Body, frozen=True, kw_only=True):
    """One origin over the whole range: credits outside the house when it began, what moved them, and when it ended.

    opening + sold - disputed + promotions - revenue - breakage - other = closing.
    """

    origin: str
    opening_micros: int
    """Unspent, or owed to creators."""
    sold_micros: int
    """Less what was refunded."""
    disputed_micros: int
    promotions_micros: int
    """Granted, less what was taken back."""
    revenue_micros: int
    """The house's part of what was spent."""
    breakage_micros: int
    other_micros: int
    """To the house's other accounts."""
    closing_micros: int


class RailCreditsRow(Body, frozen=True, kw_only=True):
    """One rail over the whole range, all origins together: what was sold by it, as the postings themselves say.

    All rails together are what the origins come to, but for a day whose postings differ from what was settled, which is
    a ticket. Once sold, credits have no rail: what is owed cannot be told by one.
    """

    rail: str
    sold_micros: int
    """Less what was refunded."""
    disputed_micros: int


class OwedRow(Body, frozen=True, kw_only=True):
    """One origin, as of the moment of the report."""

    origin: str
    unspent_micros: int
    creators_settled_micros: int
    creators_pending_micros: int


class FinanceReport(Body, frozen=True, kw_only=True):
    """A range of UTC days, both ends included."""

    first_day: str
    last_day: str
    ledger_days_missing: list[str]
    """Days of the range that are not kept: they are not over, not reconciled yet, or before the first that was."""
    money: list[MoneyRow]
    credits: list[CreditsRow]
    credits_by_rail: list[RailCreditsRow]
    owed_at_ms: int
    owed: list[OwedRow]
    drift_micros: int
    """By how much the whole ledger does not balance."""


class Finance:
    """Makes reports. Raise ReportTooLong, PaymentsUnavailable or LedgerUnavailable."""

    def __init__(self, books: Books, houses: HouseBooks, sums: LedgerSums) -> None:
        self._books = books
        self._houses = houses
        self._sums = sums

    async def report(self, first: str, last: str) -> FinanceReport:
        """What moved from the first day to the last, and what is owed now."""
        day_books = await self._books.day_books(first, last)
        if len(day_books) > DAY_BOOKS_MAX:
            raise ReportTooLong
        house_days = await self._houses.between(first, last)
        owed = await self._sums.liabilities()
        kept = {day.day for day in house_days}
        return FinanceReport(
            first_day=first,
            last_day=last,
            ledger_days_missing=[day for day in days.between(first, last) if day not in kept],
            money=money_rows(day_books),
            credits=credits_rows(house_days),
            credits_by_rail=rail_rows(house_days),
            owed_at_ms=owed.at_ms,
            owed=owed_rows(owed),
            drift_micros=owed.drift_micros,
        )


def money_rows(day_books: Iterable[DayBook]) -> list[MoneyRow]:
    """The days added up by rail and currency."""
    of: dict[tuple[str, str], list[DayBook]] = {}
    for book in day_books:
        of.setdefault((book.rail.value, book.currency), []).append(book)
    return [_money_row(rail, currency, books) for (rail, currency), books in sorted(of.items())]


def _money_row(rail: str, currency: str, books: Sequence[DayBook]) -> MoneyRow:
    def total(name: str) -> int:
        return sum(getattr(book.sums, name) for book in books)

    took, gave_back, disputed = total("took_minor"), total("gave_back_minor"), total("disputed_minor")
    return MoneyRow(
        rail=rail,
        currency=currency,
        revenue_minor=took + gave_back + disputed,
        took_minor=took,
        refunds_minor=-gave_back,
        disputes_lost_minor=-disputed,
        fees_minor=total("fees_minor"),
        fees_unknown=total("fees_unknown"),
        taxes_collected_minor=0,
        transferred_minor=-total("transferred_minor"),
        paid_out_minor=-total("paid_out_minor"),
        other_minor=total("other_minor"),
        balance_change_minor=total("balance_change_minor"),
    )


def credits_rows(house_days: Sequence[HouseDay]) -> list[CreditsRow]:
    """What moved credits into and out of the house, by origin. Days must be in order."""
    return [_credits_row(origin.value, house_days) for origin in Origin]


def rail_rows(house_days: Sequence[HouseDay]) -> list[RailCreditsRow]:
    """What was sold by each rail."""
    rails = sorted({rail for day in house_days for rails in day.by_rail.values() for rail in rails})

    def moved(account: str, rail: str) -> int:
        return sum(day.by_rail.get(account, {}).get(rail, 0) for day in house_days)

    return [
        RailCreditsRow(rail=rail, sold_micros=-moved(HOUSE_PAYMENTS, rail), disputed_micros=moved(HOUSE_DISPUTES, rail))
        for rail in rails
    ]


def _credits_row(origin: str, house_days: Sequence[HouseDay]) -> CreditsRow:
    def moved(*accounts: str) -> int:
        return sum(day.moved.get(account, {}).get(origin, 0) for day in house_days for account in accounts)

    others = sorted({name for day in house_days for name in day.moved} - set(NAMED))
    return CreditsRow(
        origin=origin,
        opening_micros=_outside(house_days[0].opening, origin) if house_days else 0,
        sold_micros=-moved(HOUSE_PAYMENTS),
        disputed_micros=moved(HOUSE_DISPUTES),
        promotions_micros=-moved(HOUSE_PROMOTIONS),
        revenue_micros=moved(HOUSE_REVENUE),
        breakage_micros=moved(HOUSE_BREAKAGE),
        other_micros=moved(*others),
        closing_micros=_outside(closing_of(house_days[-1]), origin) if house_days else 0,
    )


def _outside(standing: Micros, origin: str) -> int:
    """Credits that people have are what the house lacks."""
    return -sum(origins.get(origin, 0) for origins in standing.values())


def owed_rows(owed: Liabilities) -> list[OwedRow]:
    """What is owed, by origin."""
    return [
        OwedRow(
            origin=origin.value,
            unspent_micros=owed.unspent[origin.value],
            creators_settled_micros=owed.owed_settled[origin.value],
            creators_pending_micros=owed.owed_pending[origin.value],
        )
        for origin in Origin
    ]


def csv_of(report: FinanceReport) -> str:
    """One amount a line: section, rail, currency or origin, column, amount. Spreadsheets and scripts read it alike."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(("section", "rail", "currency", "column", "amount"))
    sections: dict[str, Sequence[Mapping[str, str | int]]] = {
        "money": to_builtins(report.money),
        "credits": to_builtins(report.credits),
        "credits_by_rail": to_builtins(report.credits_by_rail),
        "owed": to_builtins(report.owed),
    }
    for section, rows in sections.items():
        for row in rows:
            names = (row.get("rail", ""), row.get("currency") or row.get("origin", ""))
            for column, amount in row.items():
                if isinstance(amount, int):
                    writer.writerow((section, *names, column, amount))
    writer.writerow(("ledger", "", "", "drift_micros", report.drift_micros))
    writer.writerow(("ledger", "", "", "days_missing", len(report.ledger_days_missing)))
    return out.getvalue()
