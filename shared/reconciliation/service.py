"""Three-way reconciliation, called by the timer `reconcile_daily`: our orders and postings against the provider's lines
against what its payouts took to the bank.

A day of a rail is a few steps, each a page at a time. A page's tickets are written before the step moves on, and a
ticket is named by what it is about, so a run that dies anywhere goes on and leaves the same documents.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from shared.base.clock import Clock
from shared.base.economy import DAY_MS
from shared.base.log import write_line
from shared.payments.errors import RailRefused, RailUnavailable
from shared.payments.models import RailName
from shared.payouts.models import Payout
from shared.reconciliation import days, postings, sum_rules
from shared.reconciliation.evidence import Evidence
from shared.reconciliation.healing import Healing
from shared.reconciliation.models import Difference, Progress
from shared.reconciliation.orders import PAGE_ORDERS_MAX, PaidOrders, Place
from shared.reconciliation.payouts import PayoutContents
from shared.reconciliation.postings import LedgerDays
from shared.reconciliation.recheck import Recheck
from shared.reconciliation.settlement import settle_run
from shared.reconciliation.statements import Statements
from shared.reconciliation.store import Books
from shared.reconciliation.tickets import Tickets
from shared.reconciliation.transfers import PAGE_PAYOUTS_MAX

DAYS_MAX = 7
"""Reconciled in one run after an outage; the next run goes on."""
RUN_MS_MAX = 240_000
"""So long a run begins further pages; its function is given a minute more."""
RECHECK_MS_MAX = 100_000
"""Of it for what is open, so that many tickets never keep a day from being compared."""
AGAIN_DAYS = 7
"""A day's lines are compared once more so long after: fees change, and lines appear in days that were over."""
ORDERS_DAYS = 1
"""An order is looked for so long after it was paid, when the lines of both days around it are kept: clocks differ."""
TRANSFERS_DAYS = 30
"""A payout to an earner is looked for so long after it was asked for: holds and a first look are over by then."""
LATE_DAYS = 10
"""Longer than a provider holds what it sends to the bank: seven days for cards almost everywhere."""
STEPS = ("lines", "again", "orders", "payouts", "transfers", "balances", "late", "done")
"""Of one day of one rail, in this order."""
RECONCILED_UNTIL = "reconciled_until:{name}"
"""The name of the progress whose step is the last day that was reconciled."""
RECHECK = "recheck"
"""The name of the progress whose cursor is the last open ticket that was looked at again."""
LEDGER = "ledger"
"""The name under which a day of the ledger is reconciled, all rails together."""


class ReconcileDone(Struct, frozen=True):
    """What a run did. `finished`: no day that could be reconciled was left for the next one."""

    days: int = 0
    opened: int = 0
    resolved: int = 0
    finished: bool = True


class _Run(Struct):
    """What is counted while a run goes on."""

    gives_up_at_ms: int
    days: int = 0
    opened: int = 0
    resolved: int = 0


class Reconciliation:
    """Compares days. Raise PaymentsUnavailable, LedgerUnavailable or TasksUnavailable."""

    def __init__(
        self,
        *,
        statements: Mapping[RailName, Statements],
        books: Books,
        tickets: Tickets,
        orders: PaidOrders,
        evidence: Evidence,
        contents: PayoutContents,
        recheck: Recheck,
        healing: Healing,
        ledger_days: LedgerDays,
        clock: Clock,
    ) -> None:
        self._statements = statements
        self._books = books
        self._tickets = tickets
        self._orders = orders
        self._evidence = evidence
        self._contents = contents
        self._recheck = recheck
        self._healing = healing
        self._ledger_days = ledger_days
        self._clock = clock

    async def run(self) -> ReconcileDone:
        """Look again at what is open, then compare all days that are settled and not compared yet."""
        run = _Run(self._clock() + RUN_MS_MAX)
        finished = [await self._recheck_open(run)]
        # Each on its own: a provider that does not answer, or whose day is not settled, holds up no other.
        for rail in self._statements:
            try:
                finished.append(await self._go_on(run, rail.value))
            except (RailUnavailable, RailRefused) as error:
                write_line("ERROR", "books_unread", rail=rail.value, reason=str(error))
                finished.append(False)
        finished.append(await self._go_on(run, LEDGER))
        return ReconcileDone(run.days, run.opened, run.resolved, all(finished))

    async def _recheck_open(self, run: _Run) -> bool:
        """Look again at what is open, from where the last run ended. False when there was no time for all of it."""
        stops_at_ms = self._clock() + RECHECK_MS_MAX
        progress = await self._books.progress(RECHECK)
        after = progress.cursor if progress else None
        while self._clock() <= stops_at_ms:
            done = await self._recheck.page(after)
            run.resolved += done.resolved
            if done.after != after:
                await self._books.put_progress(RECHECK, Progress(step="page", cursor=done.after))
            after = done.after
            if after is None:
                return True
        return False

    async def _go_on(self, run: _Run, name: str) -> bool:
        """Compare the days of one rail, or of the ledger, that are due. False when there was no time for all."""
        yesterday = days.day_of(self._clock() - DAY_MS)
        until = await self._books.progress(RECONCILED_UNTIL.format(name=name))
        day = days.moved(until.step, 1) if until else yesterday
        for _ in range(DAYS_MAX):
            if day > yesterday:
                return True
            whole = await (self._ledger_day(run, day) if name == LEDGER else self._day(run, RailName(name), day))
            if not whole:
                return False
            await self._books.put_progress(RECONCILED_UNTIL.format(name=name), Progress(step=day, is_done=True))
            run.days += 1
            day = days.moved(day, 1)
        return day > yesterday

    async def _day(self, run: _Run, rail: RailName, day: str) -> bool:
        if not await self._is_settled(rail, day):
            # Its lines are not kept yet. Once they are, the next run compares them.
            return False
        run_id = f"reconcile:{rail.value}:{day}"
        progress = await self._books.progress(run_id) or Progress(step=STEPS[0])
        while progress.step != "done":
            if self._is_over(run):
                return False
            progress = await self._step(run, rail, day, progress)
            await self._books.put_progress(run_id, progress)
        write_line("INFO", "day_reconciled", rail=rail.value, day=day, opened=run.opened)
        return True

    async def _step(self, run: _Run, rail: RailName, day: str, progress: Progress) -> Progress:
        """One page of one step, and where to go on."""
        match progress.step:
            case "lines":
                return await self._lines(run, rail, day, progress)
            case "again":
                return await self._lines(run, rail, days.moved(day, -AGAIN_DAYS), progress)
            case "orders":
                return await self._paid_orders(run, rail, days.moved(day, -ORDERS_DAYS), progress)
            case "payouts":
                return await self._payouts(run, rail, day, progress)
            case "transfers":
                return await self._transfers(run, rail, days.moved(day, -TRANSFERS_DAYS), progress)
            case "balances":
                await self._note(run, await self._contents.balances(rail, day))
                return _after(progress)
            case _:
                early = days.moved(day, -LATE_DAYS)
                if self._statements[rail].tells_payouts and await self._is_settled(rail, early):
                    await self._note(run, await self._contents.late(rail, early))
                return _after(progress)

    async def _lines(self, run: _Run, rail: RailName, day: str, progress: Progress) -> Progress:
        """What the provider shows of a day against what we keep of it, our orders and our postings."""
        settled = await self._books.progress(settle_run(rail, day))
        if settled is None or not settled.is_done:
            return _after(progress)
        page = await self._statements[rail].lines(day, progress.cursor)
        found = await self._evidence.of_lines(rail, day, page.lines)
        await self._note(run, [difference for compared in found for difference in compared.differences])
        await self._healing.heal(rail, found)
        # Only those that we keep: else a line that appeared would hide one that is gone.
        shown = progress.counts.get("lines", 0) + sum(compared.is_booked for compared in found)
        if page.cursor is not None:
            return replace(progress, cursor=page.cursor, counts={"lines": shown})
        booked = sum(sums.lines for sums in settled.sums.values())
        if difference := sum_rules.of_count(rail, day, booked=booked, shown=shown):
            await self._note(run, [difference])
        return _after(progress)

    async def _paid_orders(self, run: _Run, rail: RailName, day: str, progress: Progress) -> Progress:
        """Orders that were paid on a day against the lines that we keep."""
        if not (await self._is_settled(rail, day) and await self._is_settled(rail, days.moved(day, -1))):
            return _after(progress)
        sells = self._statements[rail].sells
        sold_by = RailName(progress.name) if progress.name else sells[0]
        place = msgspec.json.decode(progress.cursor, type=Place) if progress.cursor else None
        page = await self._orders.paid_between(sold_by, days.start_ms(day), days.end_ms(day), place)
        await self._note(run, await self._evidence.of_orders(rail, page))
        if len(page) < PAGE_ORDERS_MAX:
            left = sells[sells.index(sold_by) + 1 :]
            return replace(progress, name=left[0].value, cursor=None) if left else _after(progress)
        place = Place(page[-1].paid_at_ms or 0, page[-1].order_id)
        return replace(progress, name=sold_by.value, cursor=msgspec.json.encode(place).decode())

    async def _payouts(self, run: _Run, rail: RailName, day: str, progress: Progress) -> Progress:
        """What arrived at our bank on the day against what it contains, one page of one payout at a time."""
        payouts = sorted(await self._statements[rail].bank_payouts(day), key=lambda payout: payout.payout_id)
        is_under_way = progress.cursor is not None
        left = [
            one for one in payouts if one.payout_id > progress.name or (is_under_way and one.payout_id == progress.name)
        ]
        if not left:
            return _after(progress)
        payout, net_minor = left[0], progress.counts if is_under_way else {}
        page = await self._contents.page(rail, day, payout, progress.cursor, net_minor)
        whole = sum_rules.of_payout(rail, day, payout, page.net_minor) if page.cursor is None else []
        await self._note(run, page.differences + whole)
        return replace(progress, name=payout.payout_id, cursor=page.cursor, counts=page.net_minor)

    async def _transfers(self, run: _Run, rail: RailName, day: str, progress: Progress) -> Progress:
        """Payouts to earners that were asked for on a day and are paid by now, against the lines that we keep."""
        if not (self._statements[rail].pays_earners and await self._is_settled(rail, day)):
            return _after(progress)
        after = msgspec.json.decode(progress.cursor, type=Payout) if progress.cursor else None
        page = await self._evidence.payouts_asked(days.start_ms(day), days.end_ms(day), after)
        await self._note(run, await self._evidence.of_payouts(rail, page))
        if len(page) < PAGE_PAYOUTS_MAX:
            return _after(progress)
        return replace(progress, cursor=msgspec.json.encode(page[-1]).decode())

    async def _ledger_day(self, run: _Run, day: str) -> bool:
        run_id = f"reconcile:{LEDGER}:{day}"
        progress = await self._books.progress(run_id) or Progress(step=postings.STEP)
        while not progress.is_done:
            if self._is_over(run):
                return False
            page = await self._ledger_days.page(day, progress)
            if page is None:
                # Windows of the day are not settled yet. They will be, within minutes.
                return False
            await self._note(run, page.differences)
            progress = page.progress
            await self._books.put_progress(run_id, progress)
        return True

    async def _is_settled(self, rail: RailName, day: str) -> bool:
        settled = await self._books.progress(settle_run(rail, day))
        return settled is not None and settled.is_done

    async def _note(self, run: _Run, differences: list[Difference]) -> None:
        opened = await self._tickets.note(differences, at_ms=self._clock())
        if opened:
            run.opened += opened
            write_line("WARNING", "tickets_opened", count=opened)

    def _is_over(self, run: _Run) -> bool:
        return self._clock() > run.gives_up_at_ms


def _after(progress: Progress) -> Progress:
    """The beginning of the next step."""
    return Progress(step=STEPS[STEPS.index(progress.step) + 1])
