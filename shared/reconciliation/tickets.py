"""Where differences are kept until both sides agree: `reconciliation_tickets/{hash of rail, kind and thing}`.

So a difference is one document, however often and by whomever it is found. One that will never go away is accepted by
a person, and stays so for as long as both sides say what they said then. Clients read none.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from google.api_core import exceptions as google_errors
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from msgspec import to_builtins
from msgspec.structs import replace

from shared.base.clock import Clock
from shared.base.log import write_line
from shared.payments.errors import PaymentsUnavailable
from shared.reconciliation.errors import TicketAbsent, TicketClosed
from shared.reconciliation.models import Difference, Ticket, TicketDecision, TicketState
from shared.reconciliation.rules import ticket_id

TIMEOUT_S = 10.0
PAGE_TICKETS_MAX = 100
NOTE_TRIES_MAX = 5
"""A batch is lost only to a run over the same page, or to one person; both are rare."""
DECISIONS_MAX = 20
"""Of one ticket. One whose facts change more often is no longer decided here but where it comes from."""


class Tickets(Protocol):
    """What reconciliation asks of a store. All raise PaymentsUnavailable."""

    async def note(self, differences: Iterable[Difference], *, at_ms: int) -> int:
        """Open a ticket for each, or open it again; one that is open is only seen once more. How many are new or
        open again. Durable once returned."""

    async def resolve(self, names: Iterable[str], *, at_ms: int) -> None:
        """Both sides agree. Durable once returned."""

    async def find(self, name: str) -> Ticket | None:
        """One ticket."""

    async def accept(self, name: str, decision: TicketDecision) -> Ticket:
        """Close an open ticket whose sides say what the decision says. Durable once returned.

        Raise TicketAbsent, or TicketClosed when that is no longer so.
        """

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
        for _ in range(NOTE_TRIES_MAX):
            try:
                return await self._note(found, at_ms)
            except (google_errors.FailedPrecondition, google_errors.Conflict):
                # Another run or a person was quicker with one of them. Nothing was written: read what they wrote.
                continue
            except google_errors.GoogleAPICallError as error:
                raise PaymentsUnavailable from error
        raise PaymentsUnavailable

    async def _note(self, found: Mapping[str, Difference], at_ms: int) -> int:
        references = [self._ticket(name) for name in found]
        batch, opened = self._client.batch(), 0
        async for snapshot in self._client.get_all(references, retry=None, timeout=TIMEOUT_S):
            before = ticket_from(snapshot.to_dict() or {}) if snapshot.exists else None
            after = noted(before, found[snapshot.id], at_ms=at_ms)
            opened += is_opened(before, after)
            if before is None:
                batch.create(self._ticket(snapshot.id), ticket_document(after))
            else:
                option = self._client.write_option(last_update_time=snapshot.update_time)
                batch.update(self._ticket(snapshot.id), ticket_document(after), option=option)
        await batch.commit(retry=None, timeout=TIMEOUT_S)
        return opened

    async def resolve(self, names: Iterable[str], *, at_ms: int) -> None:
        batch = self._client.batch()
        for name in names:
            batch.update(self._ticket(name), {"state": TicketState.RESOLVED.value, "resolved_ms": at_ms})
        try:
            await batch.commit(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error

    async def find(self, name: str) -> Ticket | None:
        found = await self._read(name)
        return ticket_from(found.to_dict() or {}) if found.exists else None

    async def accept(self, name: str, decision: TicketDecision) -> Ticket:
        found = await self._read(name)
        if not found.exists:
            raise TicketAbsent
        after = accepted(ticket_from(found.to_dict() or {}), decision)
        option = self._client.write_option(last_update_time=found.update_time)
        try:
            await self._ticket(name).update(ticket_document(after), option=option, retry=None, timeout=TIMEOUT_S)
        except google_errors.FailedPrecondition:
            raise TicketClosed from None
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error
        return after

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

    async def _read(self, name: str) -> Any:
        try:
            return await self._ticket(name).get(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error

    def _ticket(self, name: str) -> firestore.AsyncDocumentReference:
        return self._client.collection("reconciliation_tickets").document(name)


class TicketDesk:
    """What operators do about differences that stay."""

    def __init__(self, tickets: Tickets, clock: Clock) -> None:
        self._tickets = tickets
        self._clock = clock

    async def accept(self, name: str, *, by: str, why: str) -> Ticket:
        """Close a ticket that will never close by itself; a repeat of the same decision answers the same.

        Raise TicketAbsent, TicketClosed or PaymentsUnavailable.
        """
        ticket = await self._tickets.find(name)
        if ticket is None:
            raise TicketAbsent
        last = ticket.decisions[-1] if ticket.decisions else None
        if ticket.state is TicketState.ACCEPTED and last is not None and (last.by, last.why) == (by, why):
            return ticket
        difference = ticket.difference
        decision = TicketDecision(by=by, why=why, at_ms=self._clock(), ours=difference.ours, theirs=difference.theirs)
        ticket = await self._tickets.accept(name, decision)
        write_line("WARNING", "ticket_accepted", ticket=name, kind=difference.kind.value, by=by)
        return ticket


def noted(before: Ticket | None, difference: Difference, *, at_ms: int) -> Ticket:
    """The ticket once its difference was seen again. What was resolved and differs anew is open again, and so is what
    was accepted and differs in another way."""
    if before is None:
        return Ticket(difference=difference, state=TicketState.OPEN, first_seen_ms=at_ms, last_seen_ms=at_ms)
    stays = before.state is TicketState.ACCEPTED and _says(before.decisions[-1]) == _says(difference)
    state = TicketState.ACCEPTED if stays else TicketState.OPEN
    return replace(before, difference=difference, state=state, last_seen_ms=max(at_ms, before.last_seen_ms))


def is_opened(before: Ticket | None, after: Ticket) -> bool:
    """Whether there is one more to look at than there was."""
    return after.state is TicketState.OPEN and (before is None or before.state is not TicketState.OPEN)


def accepted(ticket: Ticket, decision: TicketDecision) -> Ticket:
    """The ticket once a person said that it stays. Raise TicketClosed."""
    is_current = ticket.state is TicketState.OPEN and _says(ticket.difference) == _says(decision)
    if not is_current or len(ticket.decisions) >= DECISIONS_MAX:
        raise TicketClosed
    return replace(ticket, state=TicketState.ACCEPTED, decisions=(*ticket.decisions, decision))


def _says(of: Difference | TicketDecision) -> tuple[str, str]:
    return of.ours, of.theirs


def ticket_document(ticket: Ticket) -> dict[str, Any]:
    """The ticket as it is kept."""
    fields: dict[str, Any] = to_builtins(ticket)
    return fields


def ticket_from(fields: dict[str, Any]) -> Ticket:
    """The ticket of a document."""
    return msgspec.convert(fields, Ticket)
