"""Runs that die between any two steps, and runs that are cut into pages: the documents are the same."""

import copy
from typing import Any

import pytest
from msgspec.structs import replace

from shared.payments.models import Money
from shared.reconciliation.days import day_of
from shared.reconciliation.models import Page
from tests.images.jobs import Fate, Killed
from tests.ledger.builders import DAY
from tests.payments.builders import Shop
from tests.reconciliation.builders import PRICE, Office
from tests.reconciliation.memory import MemoryStatements

STEPS_MAX = 1_000
"""A night of a few lines has fewer; a test that reached this would have stopped proving anything."""


async def eventful(page_lines: int = 100, shop: Shop | None = None) -> Office:
    """The evening of a day on which everything went wrong once."""
    office = Office(page_lines, shop)
    if shop is None:
        await office.shop.open_wallet()
    await office.night(3)
    for _ in range(3):
        await office.buy()
    _, line = await office.buy()
    await office.refund(line, 100, is_told=False)
    await office.buy(is_told=False)
    _, changed = await office.buy()
    office.statements.show(replace(changed, money=Money(PRICE - 1, "USD")))
    _, unknown = await office.buy()
    office.statements.show(replace(unknown, fee_minor=None))
    _, gone = await office.buy()
    del office.statements.shown[gone.line_id]
    names = list(office.statements.shown)
    day = day_of(office.clock() + DAY)
    whole = office.statements.pay_out("po_1", day, names[:4])
    office.statements.payouts["po_1"] = (replace(whole, amount_minor=whole.amount_minor + 1), day, names[:4])
    office.statements.pay_out("po_2", day, names[4:])
    office.clock.now_ms += DAY
    await office.settle_ledger()
    return office


async def night(office: Office, fate: Fate | None = None) -> None:
    daily, reconciliation = office.processes(fate)
    await daily.run()
    await reconciliation.run()


def kept(office: Office) -> dict[str, Any]:
    """All that a night leaves behind, but for what was posted to the queue, which has names of its own."""
    return copy.deepcopy(
        {
            "lines": office.books.lines,
            "days": office.books.days,
            "runs": office.books.runs,
            "tickets": office.tickets.kept,
            "house": office.house_books.kept,
        }
    )


async def two_nights(office: Office) -> dict[str, Any]:
    """The second one has the payouts, and looks for the orders of the day before."""
    await night(office)
    office.clock.now_ms += DAY
    await office.settle_ledger()
    await night(office)
    return kept(office)


def comparable(documents: dict[str, Any]) -> dict[str, Any]:
    """Ids at the provider differ from one shop to the next, so tickets are compared by kind and thing."""
    tickets = sorted(
        (fields["difference"]["kind"], fields["difference"]["thing"]["kind"], fields["state"], fields["first_seen_ms"])
        for fields in documents["tickets"].values()
    )
    return {"tickets": tickets, "days": documents["days"], "runs": documents["runs"].keys()}


@pytest.mark.parametrize("page_lines", [1, 2, 100])
async def test_pages_of_any_size_leave_the_same_tickets_and_sums(page_lines: int) -> None:
    whole = await two_nights(await eventful())
    paged = await two_nights(await eventful(page_lines))

    assert comparable(paged) == comparable(whole)
    assert len(whole["tickets"]) == 6


@pytest.mark.parametrize("page_lines", [2])
async def test_a_night_that_dies_between_any_two_steps_leaves_the_same_documents(page_lines: int) -> None:
    office = await eventful(page_lines)
    begins = (copy.deepcopy(office.books.__dict__), copy.deepcopy(office.tickets.kept), dict(office.shop.queues.tasks))
    await night(office)
    office.clock.now_ms += DAY
    await office.settle_ledger()
    second = (copy.deepcopy(office.books.__dict__), copy.deepcopy(office.tickets.kept), dict(office.shop.queues.tasks))
    await night(office)
    expected, tasks = kept(office), set(office.shop.queues.tasks)

    assert begins[1] != expected["tickets"]
    for dies_at in range(1, STEPS_MAX):
        books, tickets, queued = copy.deepcopy(second)
        office.books.__dict__.update(books)
        office.tickets.kept = tickets
        office.shop.queues.tasks = queued
        fate = Fate(dies_at)
        try:
            await fate.live(night(office, fate))
        except Killed:
            await night(office)
        assert kept(office) == expected, f"died at step {dies_at}"
        assert set(office.shop.queues.tasks) == tasks
        if not fate.died.is_set():
            return
    raise AssertionError("a night has more steps than were tried")


async def test_two_runs_at_once_leave_one_ticket_for_each_difference() -> None:
    office = await eventful(2)
    await office.settle()
    reconciliation = office.processes()[1]
    other = office.processes()[1]

    first, second = await reconciliation.run(), await other.run()

    assert second.opened == 0
    assert first.opened == len(office.tickets.kept)


class SlowStatements(MemoryStatements):
    """Books of a provider that takes a minute for each page."""

    def __init__(self, office: Office) -> None:
        super().__init__(page_lines=1)
        self._clock = office.clock

    async def lines(self, day: str, cursor: str | None) -> Page:
        self._clock.now_ms += 60_000
        return await super().lines(day, cursor)


async def test_a_run_that_has_no_time_left_says_so_and_the_next_ones_go_on() -> None:
    office = Office()
    await office.shop.open_wallet()
    await office.night(2)
    slow = SlowStatements(office)
    lines = [(await office.buy())[1] for _ in range(12)]
    slow.show(*lines)
    office.statements = slow
    office.clock.now_ms += DAY
    await office.settle_ledger()

    settled = [await office.settle() for _ in range(4)]
    compared = [await office.reconcile() for _ in range(4)]

    assert [done.finished for done in settled] == [False, False, True, True]
    assert [done.finished for done in compared] == [False, False, True, True]
    [book] = await office.books.day_books(day_of(lines[0].at_ms), day_of(lines[0].at_ms))
    assert book.sums.lines == 12
    assert office.all_tickets() == []
