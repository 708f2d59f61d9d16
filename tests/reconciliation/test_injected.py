"""Whatever is wrong with random books, each wrong thing is one ticket and nothing else is; dying changes nothing."""

import asyncio
import copy
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.images.jobs import Fate, Killed
from tests.ledger.builders import DAY
from tests.reconciliation.injected import (
    TICKET_OF,
    Wrong,
    WrongDay,
    expected,
    nights_until_all_is_seen,
    office_of,
    tickets_of,
)
from tests.reconciliation.test_crash import kept, night

WRONGS = st.lists(st.sampled_from(Wrong), max_size=8)
DAYS = st.none() | st.sampled_from(WrongDay)
NIGHTS_MAX = 3
"""The first has the day, the second its payout, the third looks for its orders."""
STEPS = st.integers(min_value=1, max_value=400)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(wrongs=WRONGS, day=DAYS, page_lines=st.sampled_from([1, 3, 100]))
def test_k_differences_are_exactly_those_k_tickets(wrongs: list[Wrong], day: WrongDay | None, page_lines: int) -> None:
    async def run() -> None:
        office = await office_of(wrongs, day, page_lines=page_lines)
        await nights_until_all_is_seen(office)
        assert sorted(tickets_of(office).elements()) == expected(wrongs, day)
        assert sorted(office.open_tickets()) == expected(wrongs, day), "none closes by itself"

    asyncio.run(run())


@pytest.mark.parametrize("wrong", [*Wrong, *WrongDay])
async def test_each_difference_alone_is_its_ticket(wrong: Wrong | WrongDay) -> None:
    wrongs = [wrong, Wrong.NOTHING] if isinstance(wrong, Wrong) else [Wrong.NOTHING]
    day = wrong if isinstance(wrong, WrongDay) else None
    office = await office_of(wrongs, day)

    await nights_until_all_is_seen(office)

    assert sorted(tickets_of(office).elements()) == expected(wrongs, day)
    named = TICKET_OF.get(wrong)
    assert named is None or Counter([named]) <= tickets_of(office)


@settings(max_examples=25, deadline=None)
@given(wrongs=WRONGS, day=DAYS, dies_at=STEPS, on=st.integers(min_value=1, max_value=NIGHTS_MAX))
def test_a_night_that_dies_anywhere_and_is_run_again_leaves_the_same(
    wrongs: list[Wrong], day: WrongDay | None, dies_at: int, on: int
) -> None:
    async def run() -> None:
        office = await office_of(wrongs, day, page_lines=2)
        for number in range(1, NIGHTS_MAX + 1):
            office.clock.now_ms += DAY
            await office.settle_ledger()
            if number != on:
                await night(office)
                continue
            begins = copy.deepcopy((office.books.__dict__, office.tickets.kept, office.house_books.kept))
            tasks = dict(office.shop.queues.tasks)
            await night(office)
            whole, posted = kept(office), set(office.shop.queues.tasks)
            office.books.__dict__, office.tickets.kept, office.house_books.kept = begins
            office.shop.queues.tasks = tasks
            fate = Fate(dies_at)
            try:
                await fate.live(night(office, fate))
            except Killed:
                await night(office)
            assert kept(office) == whole
            assert set(office.shop.queues.tasks) == posted

    asyncio.run(run())
