"""What functions about settlement, tickets and reports take and answer."""

from typing import Annotated

from msgspec import Meta

from shared.base.body import LAST, Body
from shared.reconciliation.models import Ticket

DayText = Annotated[str, Meta(pattern=rf"^20[0-9]{{2}}-[0-9]{{2}}-[0-9]{{2}}{LAST}")]
MonthText = Annotated[str, Meta(pattern=rf"^20[0-9]{{2}}-[0-9]{{2}}{LAST}")]
TicketIdText = Annotated[str, Meta(pattern=rf"^[0-9a-f]{{64}}{LAST}")]


class TicketDecisionView(Body, frozen=True, kw_only=True):
    """Why a difference that stays was closed, and what it was then."""

    by: str
    reason: str
    at_ms: int
    ours: str
    theirs: str


class TicketView(Body, frozen=True, kw_only=True):
    """A difference as an operator sees it."""

    ticket_id: str
    kind: str
    rail: str
    about: str
    """Whether it is about a line, an order, a payout, a posting, or a day."""
    name: str
    day: str
    currency: str
    ours: str
    theirs: str
    first_seen_ms: int
    last_seen_ms: int
    state: str
    decisions: list[TicketDecisionView]
    """Oldest first."""


def ticket_view(name: str, ticket: Ticket) -> TicketView:
    """The ticket as it is shown."""
    difference = ticket.difference
    return TicketView(
        ticket_id=name,
        kind=difference.kind.value,
        rail=difference.rail.value,
        about=difference.thing.kind.value,
        name=difference.thing.name,
        day=difference.thing.day,
        currency=difference.currency,
        ours=difference.ours,
        theirs=difference.theirs,
        first_seen_ms=ticket.first_seen_ms,
        last_seen_ms=ticket.last_seen_ms,
        state=ticket.state.value,
        decisions=[
            TicketDecisionView(by=one.by, reason=one.why, at_ms=one.at_ms, ours=one.ours, theirs=one.theirs)
            for one in ticket.decisions
        ],
    )
