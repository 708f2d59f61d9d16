"""What payouts to our bank contain, and which lines are in none."""

from collections.abc import AsyncIterator, Mapping, Sequence

from msgspec import Struct

from shared.payments.models import RailName
from shared.reconciliation import sum_rules
from shared.reconciliation.days import moved
from shared.reconciliation.models import BankPayout, Booked, Difference, Line
from shared.reconciliation.statements import PAGE_LINES_MAX, Statements
from shared.reconciliation.store import Books


class ContentsPage(Struct, frozen=True):
    """A page of a payout's lines, what the payout's lines come to so far, and from where to go on."""

    lines: tuple[Line, ...]
    net_minor: Mapping[str, int]
    cursor: str | None
    differences: list[Difference]
    """Lines that the payout counts in another way than they are kept."""


class PayoutContents:
    """Reads what payouts contain, and remembers which payout took a line."""

    def __init__(self, statements: Mapping[RailName, Statements], books: Books) -> None:
        self._statements = statements
        self._books = books

    async def page(
        self, rail: RailName, day: str, payout: BankPayout, cursor: str | None, net_minor: Mapping[str, int]
    ) -> ContentsPage:
        """The next lines of a payout. A repeat remembers the same."""
        if not payout.has_arrived:
            return ContentsPage((), {}, None, [])
        statements, payout_id = self._statements[rail], payout.payout_id
        page = await statements.payout_lines(payout_id, cursor)
        kept = await self._books.booked(rail, [line.line_id for line in page.lines])
        news = [name for name, one in kept.items() if one.payout_id != payout_id]
        await self._books.mark_paid_out(rail, payout_id, news)
        differences = [
            difference
            for line in page.lines
            if statements.recounts and (one := kept.get(line.line_id))
            if (difference := sum_rules.of_content(rail, day, payout_id, one.line, line))
        ]
        return ContentsPage(page.lines, sum_rules.net_by_currency(net_minor, page.lines), page.cursor, differences)

    async def differences(self, rail: RailName, day: str, payout: BankPayout) -> list[Difference]:
        """How a payout differs from all that is in it."""
        net_minor: Mapping[str, int] = {}
        found: list[Difference] = []
        cursor: str | None = None
        while True:
            page = await self.page(rail, day, payout, cursor, net_minor)
            found, net_minor, cursor = found + page.differences, page.net_minor, page.cursor
            if cursor is None:
                return found + sum_rules.of_payout(rail, day, payout, net_minor)

    async def balances(self, rail: RailName, day: str) -> list[Difference]:
        """How our balance grew on a day beside what the day's lines say. None where the provider tells no balance."""
        statements = self._statements[rail]
        before, after = await statements.balances(moved(day, -1)), await statements.balances(day)
        if before is None or after is None:
            return []
        books = [book for book in await self._books.day_books(day, day) if book.rail is rail]
        return sum_rules.of_balances(rail, day, before, after, books)

    async def late(self, rail: RailName, day: str) -> list[Difference]:
        """Lines of a day that no payout has taken to the bank: one difference for each currency."""
        waiting: dict[str, tuple[int, int]] = {}
        async for page in self.booked(rail, day):
            waiting = sum_rules.waiting_in(waiting, page)
        return [sum_rules.late(rail, day, currency, *sums) for currency, sums in sorted(waiting.items())]

    async def booked(self, rail: RailName, day: str) -> AsyncIterator[Sequence[Booked]]:
        """All kept lines of a day, page after page."""
        after: str | None = None
        while True:
            page = await self._books.booked_on(rail, day, after)
            yield page
            if len(page) < PAGE_LINES_MAX:
                return
            after = page[-1].line.line_id
