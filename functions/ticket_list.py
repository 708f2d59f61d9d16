"""Show where our books and a payment provider's differ. Called by operators; reads only."""

from shared.app import App
from shared.base.body import Body
from shared.reconciliation.shapes import TicketIdText, TicketView, ticket_view
from shared.reconciliation.tickets import PAGE_TICKETS_MAX
from shared.web.auth import Caller
from shared.web.function import http_function


class TicketListRequest(Body, frozen=True, kw_only=True):
    """From the beginning, or after the last ticket of the page before."""

    after: TicketIdText | None = None


class TicketListResponse(Body, frozen=True, kw_only=True):
    """A page of open tickets. `after` asks for the next one; null at the end."""

    tickets: list[TicketView]
    after: str | None


@http_function(auth="service", scope="finance:read", method="GET", body=TicketListRequest, answer=TicketListResponse)
async def ticket_list(body: TicketListRequest, caller: Caller, app: App) -> TicketListResponse:
    """Raise PaymentsUnavailable (503)."""
    found = await app.tickets.open(body.after)
    return TicketListResponse(
        tickets=[ticket_view(name, ticket) for name, ticket in found],
        after=found[-1][0] if len(found) == PAGE_TICKETS_MAX else None,
    )
