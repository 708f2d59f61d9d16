"""Settling a day, called by the timer `settlement_daily`: keep what each provider's books say of it, and add it up.

A page of lines and how far the run has come are one commit, so a run that dies anywhere goes on where it was, and
settling a day again keeps the same documents. What a provider changed meanwhile is then kept as it is now.
"""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from shared.base.clock import Clock
from shared.base.economy import DAY_MS
from shared.base.log import write_line
from shared.payments.errors import RailRefused, RailUnavailable
from shared.payments.models import RailName
from shared.reconciliation import days
from shared.reconciliation.models import DayBook, Progress, Sums
from shared.reconciliation.rules import added
from shared.reconciliation.statements import Statements
from shared.reconciliation.store import Books

DAYS_MAX = 7
"""Settled in one run after an outage; the next run goes on. Days that lack a fee are settled again for as long."""
RUN_MS_MAX = 240_000
"""So long a run begins further pages; its function is given a minute more."""
SETTLED_UNTIL = "settled_until:{rail}"
"""The name of the progress whose step is the last day that was settled."""


class SettlementDone(Struct, frozen=True):
    """What a run did. `finished`: no day was left for the next one."""

    days: int = 0
    lines: int = 0
    finished: bool = True


def settle_run(rail: RailName, day: str) -> str:
    """The name of a day's progress."""
    return f"settle:{rail.value}:{day}"


class DailySettlement:
    """Settles days of all rails whose providers keep books. Raise PaymentsUnavailable."""

    def __init__(self, statements: Mapping[RailName, Statements], books: Books, clock: Clock) -> None:
        self._statements = statements
        self._books = books
        self._clock = clock

    async def run(self, day: str | None = None) -> SettlementDone:
        """Settle all days that are over and not settled, or the one that is named, once more."""
        gives_up_at_ms = self._clock() + RUN_MS_MAX
        done = SettlementDone()
        for rail in self._statements:
            try:
                done = await self._settle_rail(rail, day, done, gives_up_at_ms)
            except (RailUnavailable, RailRefused) as error:
                # It holds up no other. What was read of the day is kept, and the next run goes on.
                write_line("ERROR", "books_unread", rail=rail.value, reason=str(error))
                done = replace(done, finished=False)
        return done

    async def _settle_rail(
        self, rail: RailName, day: str | None, done: SettlementDone, gives_up_at_ms: int
    ) -> SettlementDone:
        for due in [day] if day else await self._due(rail):
            lines = await self._settle(rail, due, gives_up_at_ms)
            if lines is None:
                return replace(done, finished=False)
            done = replace(done, days=done.days + 1, lines=done.lines + lines)
            if day is None:
                await self._move_on(rail, due)
        return done

    async def _due(self, rail: RailName) -> list[str]:
        yesterday = days.day_of(self._clock() - DAY_MS)
        until = await self._books.progress(SETTLED_UNTIL.format(rail=rail.value))
        first = days.moved(until.step, 1) if until else yesterday
        fresh = [day for number in range(DAYS_MAX) if (day := days.moved(first, number)) <= yesterday]
        again = [days.moved(first, -number) for number in range(DAYS_MAX, 0, -1)]
        runs = [(day, await self._books.progress(settle_run(rail, day))) for day in again]
        # One that is not done is a day that was settled again, by a run that died over it.
        return [day for day, run in runs if run and (run.fees_unknown or not run.is_done)] + fresh

    async def _settle(self, rail: RailName, day: str, gives_up_at_ms: int) -> int | None:
        """How many lines the day has; None when there was no time for all of them."""
        run_id = settle_run(rail, day)
        progress = await self._books.progress(run_id)
        if progress is None or progress.is_done:
            # A currency that the day had before has nothing in it now, unless a line says otherwise.
            currencies = progress.sums if progress else ()
            progress = Progress(step="lines", sums=dict.fromkeys(currencies, Sums()))
        while progress.step == "lines":
            if self._clock() > gives_up_at_ms:
                return None
            page = await self._statements[rail].lines(day, progress.cursor)
            sums = added(progress.sums, page.lines)
            progress = Progress(step="lines" if page.cursor else "close", cursor=page.cursor, sums=sums)
            await self._books.book(rail, day, page.lines, run_id, progress)
        # If we die here, the next run closes the day with the same sums.
        unknown = sum(sums.fees_unknown for sums in progress.sums.values())
        closed = replace(progress, is_done=True, fees_unknown=unknown)
        books = [DayBook(rail=rail, day=day, currency=name, sums=sums) for name, sums in progress.sums.items()]
        await self._books.close_day(books, run_id, closed)
        lines = sum(sums.lines for sums in progress.sums.values())
        write_line("INFO", "day_settled", rail=rail.value, day=day, lines=lines, fees_unknown=unknown)
        return lines

    async def _move_on(self, rail: RailName, day: str) -> None:
        name = SETTLED_UNTIL.format(rail=rail.value)
        until = await self._books.progress(name)
        if until is None or until.step < day:
            await self._books.put_progress(name, Progress(step=day, is_done=True))
