"""A difference that stays is closed by a person: on the record, and for as long as nothing changes."""

import pytest
from msgspec.structs import replace

from shared.payments.models import Money
from shared.reconciliation.errors import TicketAbsent, TicketClosed
from shared.reconciliation.models import Line, TicketState
from shared.reconciliation.tickets import DECISIONS_MAX, TicketDesk
from tests.reconciliation.builders import PRICE, Office


@pytest.fixture
async def office() -> Office:
    made = Office()
    await made.shop.open_wallet()
    await made.night(2)
    return made


@pytest.fixture
async def line(office: Office) -> Line:
    """A payment that the provider shows with a cent less than was ordered."""
    _, line = await office.buy()
    wrong = replace(line, money=Money(PRICE - 1, "USD"))
    office.statements.show(wrong)
    await office.night()
    return wrong


def desk(office: Office) -> TicketDesk:
    return TicketDesk(office.tickets, office.clock)


async def test_what_a_person_accepted_does_not_come_back_the_next_nights(office: Office, line: Line) -> None:
    [(name, _)] = await office.tickets.open(None)

    await desk(office).accept(name, by="olga", why="a cent of rounding")
    done = await office.night(8)

    assert (office.open_tickets(), done.opened) == ([], 0)
    [ticket] = office.all_tickets()
    assert ticket.state is TicketState.ACCEPTED
    assert [(one.by, one.why) for one in ticket.decisions] == [("olga", "a cent of rounding")]


async def test_what_was_accepted_is_open_again_once_its_facts_change(office: Office, line: Line) -> None:
    [(name, _)] = await office.tickets.open(None)
    await desk(office).accept(name, by="olga", why="a cent of rounding")
    await office.night(6)

    office.statements.show(replace(line, money=Money(PRICE - 2, "USD")))
    await office.night(2)

    [(again, ticket)] = await office.tickets.open(None)
    assert again == name
    assert len(ticket.decisions) == 1, "what was decided stays on the record"
    await desk(office).accept(name, by="oskar", why="two cents then")
    assert [one.by for one in office.all_tickets()[0].decisions] == ["olga", "oskar"]


async def test_a_decision_is_made_once(office: Office, line: Line) -> None:
    [(name, _)] = await office.tickets.open(None)
    first = await desk(office).accept(name, by="olga", why="x")

    assert await desk(office).accept(name, by="olga", why="x") == first
    for by, why in (("olga", "y"), ("oskar", "x")):
        with pytest.raises(TicketClosed):
            await desk(office).accept(name, by=by, why=why)
    with pytest.raises(TicketAbsent):
        await desk(office).accept("0" * 64, by="olga", why="x")


async def test_what_agrees_by_now_is_nothing_to_accept(office: Office, line: Line) -> None:
    [(name, _)] = await office.tickets.open(None)
    office.statements.show(replace(line, money=Money(PRICE, "USD")))
    await office.night()

    with pytest.raises(TicketClosed):
        await desk(office).accept(name, by="olga", why="x")


async def test_what_changes_without_end_is_accepted_only_so_often(office: Office, line: Line) -> None:
    [(name, ticket)] = await office.tickets.open(None)
    for number in range(DECISIONS_MAX):
        await desk(office).accept(name, by="olga", why=str(number))
        await office.tickets.note([replace(ticket.difference, ours=str(number))], at_ms=office.clock())

    with pytest.raises(TicketClosed):
        await desk(office).accept(name, by="olga", why="once more")
