"""Every rail against whatever a provider, a network or a thief may do: the table of `matrix.py`, row by row."""

import asyncio

import pytest

from shared.tasks.errors import TasksUnavailable
from tests.payments import crashes
from tests.payments.bench import Bench
from tests.payments.builders import BENCHES, Shop
from tests.payments.cases import Case
from tests.payments.matrix import CRASHES, DEATHS_MIN, MATRIX, ROUNDED, WAITING, WHOLE, case_name, wanted

NAMES = {case_name(case) for case in (*MATRIX, ROUNDED, *CRASHES)}
PAIRS = [
    pytest.param(bench, case, id=f"{bench.name}-{case_name(case)}")
    for bench in BENCHES
    for case in (*MATRIX, ROUNDED)
    if case_name(case) not in bench.absent
]
DEATHS = [
    pytest.param(bench, case, id=f"{bench.name}-{case_name(case)}")
    for bench in BENCHES
    for case in CRASHES
    if case_name(case) not in bench.absent
]


@pytest.mark.parametrize(("bench", "case"), PAIRS)
async def test_the_balance_is_exact(bench: type[Bench], shop: Shop, case: Case) -> None:
    """Whatever happens, the wallet ends with what was paid for and not given back."""
    await case(shop)

    assert await shop.credits() == wanted(bench, case)
    assert bool(await shop.set_aside()) == (case in WAITING)
    await shop.check_books()


@pytest.mark.parametrize(("bench", "case"), PAIRS)
async def test_looking_again_changes_nothing(shop: Shop, case: Case) -> None:
    """Every event that was ever kept is applied once more, backwards, and all at once."""
    await case(shop)
    before = await shop.micros(), await shop.set_aside(), len(shop.ledger_store.entries)

    for told in reversed(shop.told()):
        await shop.run("payment_apply", told)
    await asyncio.gather(*(shop.run("payment_apply", told) for told in shop.told()))

    assert (await shop.micros(), await shop.set_aside(), len(shop.ledger_store.entries)) == before


@pytest.mark.slow
@pytest.mark.parametrize(("bench", "case"), DEATHS)
async def test_a_death_between_any_two_steps_loses_and_doubles_nothing(bench: type[Bench], case: Case) -> None:
    """The process that takes the events or the one that applies them dies at each of its steps, before and after."""
    balances = await crashes.balances_after_deaths(bench, case)

    assert balances == [CRASHES[case]] * len(balances)
    assert len(balances) >= DEATHS_MIN


@pytest.mark.parametrize("bench", BENCHES, ids=lambda bench: bench.name)
def test_what_is_absent_is_a_case_and_has_a_reason(bench: type[Bench]) -> None:
    """A case that was renamed would be left out without a word."""
    assert set(bench.absent) <= NAMES
    assert all(bench.absent.values())


async def test_an_event_that_was_kept_and_not_queued_is_queued_when_it_comes_again(shop: Shop) -> None:
    """The provider was not answered, so it sends the event again; that it is kept already must not end its way."""
    shop.bench.pay(await shop.order())
    deliveries = shop.bench.deliveries()
    shop.queues.fails_before = True
    for delivery in deliveries:
        with pytest.raises(TasksUnavailable):
            await shop.receive([delivery])
    shop.queues.fails_before = False

    await shop.receive(deliveries)
    await shop.work()

    assert await shop.credits() == WHOLE
