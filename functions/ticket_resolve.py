"""Close a difference that will never go away, with the reason. Called by operators; a repeat answers the same.

It stays closed for as long as both sides say what they say now. What can still come to agree needs nobody: the first
run that finds it so closes it.
"""

from shared.app import App
from shared.base.body import Body, ShortText
from shared.reconciliation.shapes import TicketIdText, TicketView, ticket_view
from shared.web.auth import Caller
from shared.web.function import http_function


class TicketResolveRequest(Body, frozen=True, kw_only=True):
    """Which ticket, and why nothing is to be done."""

    ticket_id: TicketIdText
    reason: ShortText


class TicketResolveResponse(Body, frozen=True, kw_only=True):
    """The ticket with its decision."""

    ticket: TicketView


@http_function(
    auth="service",
    scope="finance:write",
    body=TicketResolveRequest,
    path_param="ticket_id",
    answer=TicketResolveResponse,
)
async def ticket_resolve(body: TicketResolveRequest, caller: Caller, app: App) -> TicketResolveResponse:
    """Raise TicketAbsent (404), TicketClosed (409) or PaymentsUnavailable (503)."""
    ticket = await app.ticket_desk.accept(body.ticket_id, by=caller.name, why=body.reason)
    return TicketResolveResponse(ticket=ticket_view(body.ticket_id, ticket))
