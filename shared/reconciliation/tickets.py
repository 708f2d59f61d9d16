"""Where differences are kept until both sides agree: `reconciliation_tickets/{hash of rail, kind and thing}`.

So a difference is one document, however often and by whomever it is found. Clients read none.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import msgspec
from google.api_core import exceptions as google_errors
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from msgspec import to_builtins
from msgspec.structs import replace

from shared.payments.errors import PaymentsUnavailable
from shared.reconciliation.models import Difference, Ticket, TicketState
from shared.reconciliation.rules import ticket_id

TIMEOUT_S = 10.0
PAGE_TICKETS_MAX = 100


class Tickets(Protocol):
    """What reconciliation asks of a store. All raise PaymentsUnavailable."""

    async def note(self, differences: Iterable[Difference], *, at_ms: int) -> int:
        """Open a ticket for each, or open it again; one that is open is only seen once more. How many are new or
        open again. Durable once returned."""

    async def resolve(self, names: Iterable[str], *, at_ms: int) -> None:
        """Both sides agree. Durable once returned."""

    async def open(self, after: str | None) -> Sequence[tuple[str, Ticket]]:
        """A page of open tickets in order of their names; one that is not full is the last."""


class FirestoreTickets:
    """The same in Firestore."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def note(self, differences: Iterable[Difference], *, at_ms: int) -> int:
        found = {ticket_id(difference): difference for difference in differences}
        if not found:
            return 0
        references = [self._ticket(name) for name in found]
        batch, opened = self._client.batch(), 0
        try:
            async for snapshot in self._client.get_all(references, retry=None, timeout=TIMEOUT_S):
                before = ticket_from(snapshot.to_dict() or {}) if snapshot.exists else None
                opened += before is None or before.state is TicketState.RESOLVED
                after = noted(before, found[snapshot.id], at_ms=at_ms)
                batch.set(self._ticket(snapshot.id), ticket_document(after))
            await batch.commit(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error
        return opened

    async def resolve(self, names: Iterable[str], *, at_ms: int) -> None:
        batch = self._client.batch()
        for name in names:
            batch.update(self._ticket(name), {"state": TicketState.RESOLVED.value, "resolved_ms": at_ms})
        try:
            await batch.commit(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error

    async def open(self, after: str | None) -> Sequence[tuple[str, Ticket]]:
        tickets = self._client.collection("reconciliation_tickets")
        query = tickets.where(filter=FieldFilter("state", "==", TicketState.OPEN.value)).order_by("__name__")
        if after is not None:
            query = query.start_after({"__name__": after})
        try:
            stream = query.limit(PAGE_TICKETS_MAX).stream(retry=None, timeout=TIMEOUT_S)
            return [(snapshot.id, ticket_from(snapshot.to_dict() or {})) async for snapshot in stream]
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error

    def _ticket(self, name: str) -> firestore.AsyncDocumentReference:
        return self._client.collection("reconciliation_tickets").document(name)


def noted(before: Ticket | None, difference: Difference, *, at_ms: int) -> Ticket:
    """The ticket once its difference was seen again. What was resolved and differs anew is open again."""
    if before is None:
        return Ticket(difference=difference, state=TicketState.OPEN, first_seen_ms=at_ms, last_seen_ms=at_ms)
    return replace(before, difference=difference, state=TicketState.OPEN, last_seen_ms=max(at_ms, before.last_seen_ms))


def ticket_document(ticket: Ticket) -> dict[str, Any]:
    """The ticket as it is kept."""
    fields: dict[str, Any] = to_builtins(ticket)
    return fields


def ticket_from(fields: dict[str, Any]) -> Ticket:
    """The ticket of a document."""
    return msgspec.convert(fields, Ticket)
