"""What reconciliation keeps, in dictionaries, and a provider's books that a test writes by hand."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import to_builtins

from shared.base.ids import AccountId
from shared.ledger.documents import Document, head_from
from shared.ledger.memory import MemoryLedgerStore, MemoryLedgerWindows
from shared.ledger.models import Origin
from shared.ledger.store import EntryRef
from shared.payments.models import Order, OrderId, PaymentId, RailName, Subject
from shared.payouts.models import Payout, PayoutId
from shared.reconciliation.days import day_of
from shared.reconciliation.errors import TicketAbsent
from shared.reconciliation.models import (
    BankPayout,
    Booked,
    DayBook,
    Difference,
    HouseDay,
    Line,
    LineKind,
    Page,
    Progress,
    Ticket,
    TicketDecision,
    TicketState,
)
from shared.reconciliation.orders import PAGE_ORDERS_MAX, Place
from shared.reconciliation.rules import ticket_id
from shared.reconciliation.statements import PAGE_LINES_MAX
from shared.reconciliation.store import booked_from, day_document, day_from, line_document
from shared.reconciliation.sums import balances_of
from shared.reconciliation.tickets import PAGE_TICKETS_MAX, accepted, is_opened, noted, ticket_document, ticket_from
from shared.reconciliation.transfers import PAGE_PAYOUTS_MAX
from tests.payments.memory import MemoryPayments


class MemoryStatements:
    """Books that a test writes. Pages are as small as it says."""

    name = RailName.STRIPE
    sells: tuple[RailName, ...] = (RailName.STRIPE,)
    recounts = False
    pays_earners = True
    tells_payouts = True

    def __init__(self, page_lines: int = PAGE_LINES_MAX) -> None:
        self.shown: dict[str, Line] = {}
        self.payouts: dict[str, tuple[BankPayout, str, list[str]]] = {}
        """By id: what arrived, on which day, and the lines in it."""
        self.standing: dict[str, dict[str, int]] = {}
        """By day: the balance that the provider tells for its end."""
        self.counted: dict[tuple[str, str], Line] = {}
        """By payout and line: a line that the payout counts in another way."""
        self.page_lines = page_lines

    def show(self, *lines: Line) -> None:
        """Put lines into the books, or others in their place."""
        self.shown |= {line.line_id: line for line in lines}

    def pay_out(self, payout_id: str, day: str, line_ids: Iterable[str]) -> BankPayout:
        """Send what lines come to to our bank."""
        names = list(line_ids)
        amount = sum(self.shown[name].net_minor for name in names)
        payout = BankPayout(payout_id=payout_id, amount_minor=amount, currency="USD")
        self.payouts[payout_id] = (payout, day, names)
        return payout

    async def lines(self, day: str, cursor: str | None) -> Page:
        return self._page([line for line in self.shown.values() if day_of(line.at_ms) == day], cursor)

    async def line(self, line_id: str) -> Line | None:
        return self.shown.get(line_id)

    async def bank_payouts(self, day: str) -> tuple[BankPayout, ...]:
        return tuple(payout for payout, arrived, _ in self.payouts.values() if arrived == day)

    async def bank_payout(self, payout_id: str) -> BankPayout | None:
        return self.payouts[payout_id][0] if payout_id in self.payouts else None

    async def payout_lines(self, payout_id: str, cursor: str | None) -> Page:
        names = self.payouts[payout_id][2]
        return self._page([self.counted.get((payout_id, name), self.shown[name]) for name in names], cursor)

    async def balances(self, day: str) -> Mapping[str, int] | None:
        return self.standing.get(day)

    def subject_of(self, line: Line) -> Subject | None:
        kinds = {LineKind.PAYMENT: "charge", LineKind.REFUND: "refund", LineKind.DISPUTE: "dispute"}
        return Subject(kinds[line.kind], line.about) if line.kind in kinds else None

    def _page(self, lines: Sequence[Line], cursor: str | None) -> Page:
        begins = int(cursor or 0)
        ends = begins + self.page_lines
        return Page(tuple(lines[begins:ends]), str(ends) if ends < len(lines) else None)


class MemoryBooks:
    """All that Firestore keeps of statements. Documents and not values, so that conversion is exercised."""

    def __init__(self) -> None:
        self.lines: dict[tuple[RailName, str], dict[str, Any]] = {}
        self.days: dict[tuple[RailName, str, str], dict[str, Any]] = {}
        self.runs: dict[str, dict[str, Any]] = {}

    async def progress(self, run_id: str) -> Progress | None:
        return msgspec.convert(self.runs[run_id], Progress) if run_id in self.runs else None

    async def put_progress(self, run_id: str, progress: Progress) -> None:
        self.runs[run_id] = to_builtins(progress)

    async def book(self, rail: RailName, day: str, lines: Sequence[Line], run_id: str, progress: Progress) -> None:
        for line in lines:
            self.lines.setdefault((rail, line.line_id), {}).update(line_document(rail, day, line))
        self.runs[run_id] = to_builtins(progress)

    async def close_day(self, books: Sequence[DayBook], run_id: str, progress: Progress) -> None:
        for book in books:
            self.days[book.rail, book.currency, book.day] = day_document(book)
        self.runs[run_id] = to_builtins(progress)

    async def booked(self, rail: RailName, line_ids: Iterable[str]) -> Mapping[str, Booked]:
        return {name: booked_from(self.lines[rail, name]) for name in line_ids if (rail, name) in self.lines}

    async def booked_on(self, rail: RailName, day: str, after: str | None) -> Sequence[Booked]:
        names = sorted(
            name
            for (owner, name), fields in self.lines.items()
            if owner is rail and fields["rail_day"] == f"{rail.value}:{day}" and name > (after or "")
        )
        return [booked_from(self.lines[rail, name]) for name in names[:PAGE_LINES_MAX]]

    async def booked_for(self, rail: RailName, payment_ids: Sequence[PaymentId]) -> Sequence[Booked]:
        names = {f"{rail.value}:{payment_id}" for payment_id in payment_ids}
        return [booked_from(fields) for fields in self.lines.values() if fields["payment"] in names]

    async def mark_paid_out(self, rail: RailName, payout_id: str, line_ids: Sequence[str]) -> None:
        for name in line_ids:
            self.lines[rail, name]["payout"] = payout_id

    async def day_books(self, first: str, last: str) -> Sequence[DayBook]:
        return [day_from(fields) for (_, _, day), fields in self.days.items() if first <= day <= last]


class MemoryTickets:
    """Tickets in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}

    async def note(self, differences: Iterable[Difference], *, at_ms: int) -> int:
        opened = 0
        for difference in differences:
            name = ticket_id(difference)
            before = ticket_from(self.kept[name]) if name in self.kept else None
            after = noted(before, difference, at_ms=at_ms)
            opened += is_opened(before, after)
            self.kept[name] = ticket_document(after)
        return opened

    async def resolve(self, names: Iterable[str], *, at_ms: int) -> None:
        for name in names:
            self.kept[name] |= {"state": TicketState.RESOLVED.value, "resolved_ms": at_ms}

    async def find(self, name: str) -> Ticket | None:
        return ticket_from(self.kept[name]) if name in self.kept else None

    async def accept(self, name: str, decision: TicketDecision) -> Ticket:
        if name not in self.kept:
            raise TicketAbsent
        after = accepted(ticket_from(self.kept[name]), decision)
        self.kept[name] = ticket_document(after)
        return after

    async def open(self, after: str | None) -> Sequence[tuple[str, Ticket]]:
        found = [(name, ticket_from(fields)) for name, fields in sorted(self.kept.items()) if name > (after or "")]
        return [(name, ticket) for name, ticket in found if ticket.state is TicketState.OPEN][:PAGE_TICKETS_MAX]


class MemoryEarnerPayouts:
    """Payouts to earners that a test writes."""

    def __init__(self) -> None:
        self.kept: dict[PayoutId, Payout] = {}

    async def named(self, payout_ids: Iterable[PayoutId]) -> Mapping[PayoutId, Payout]:
        return {name: self.kept[name] for name in payout_ids if name in self.kept}

    async def sent_by(self, transfer_ids: Sequence[str]) -> Mapping[str, Payout]:
        return {str(one.transfer_id): one for one in self.kept.values() if one.transfer_id in transfer_ids}

    async def asked_between(self, start_ms: int, end_ms: int, after: Payout | None) -> Sequence[Payout]:
        place = (after.asked_at_ms, after.payout_id) if after else (0, "")
        found = sorted(self.kept.values(), key=lambda one: (one.asked_at_ms, one.payout_id))
        within = [one for one in found if start_ms <= one.asked_at_ms < end_ms]
        return [one for one in within if (one.asked_at_ms, one.payout_id) > place][:PAGE_PAYOUTS_MAX]


class MemoryPaidOrders:
    """Reads the orders of a store of payments in memory."""

    def __init__(self, store: MemoryPayments) -> None:
        self._store = store

    async def paid_between(self, rail: RailName, start_ms: int, end_ms: int, after: Place | None) -> Sequence[Order]:
        found = sorted(
            (kept.order.paid_at_ms, order_id, kept.order)
            for order_id, kept in self._store.orders.items()
            if kept.order.rail is rail
            and kept.order.paid_at_ms is not None
            and start_ms <= kept.order.paid_at_ms < end_ms
            and (after is None or (kept.order.paid_at_ms, order_id) > (after.paid_at_ms, after.order_id))
        )
        return [order for _, _, order in found[:PAGE_ORDERS_MAX]]

    async def named(self, order_ids: Iterable[OrderId]) -> Mapping[OrderId, Order]:
        return {name: self._store.orders[name].order for name in order_ids if name in self._store.orders}

    async def bound(self, rail: RailName, payment_ids: Iterable[PaymentId]) -> Mapping[PaymentId, OrderId]:
        found = {name: await self._store.order_of(rail, name) for name in payment_ids}
        return {name: order_id for name, order_id in found.items() if order_id is not None}


class MemoryHouseBooks:
    """Days of the house in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}

    async def find(self, day: str) -> HouseDay | None:
        return msgspec.convert(self.kept[day], HouseDay) if day in self.kept else None

    async def put(self, day: HouseDay) -> None:
        self.kept[day.day] = to_builtins(day)

    async def between(self, first: str, last: str) -> list[HouseDay]:
        return [msgspec.convert(self.kept[day], HouseDay) for day in sorted(self.kept) if first <= day <= last]


class MemoryDeferredHeads:
    """Balances of a ledger in memory. It keeps no past, so the moment is always now."""

    def __init__(self, store: MemoryLedgerStore) -> None:
        self._store = store

    async def of_class(
        self, name: str, read_at: datetime | None
    ) -> AsyncIterator[tuple[AccountId, Mapping[Origin, int]]]:
        for account_id in sorted(self._store.heads):
            if account_id.startswith(f"{name}:"):
                yield account_id, balances_of(self._store.heads[account_id]["lots"])

    async def balances_micros(self, read_at: datetime) -> int:
        return sum(head_from(name, fields).balance_micros for name, fields in self._store.heads.items())


class MemorySales:
    """Entries that name a payee."""

    def __init__(self, windows: MemoryLedgerWindows) -> None:
        self._windows = windows

    async def since(
        self, payee: AccountId, since: datetime | None, before: datetime | None
    ) -> AsyncIterator[tuple[EntryRef, Document]]:
        found = []
        for band in range(4):
            async for ref, document in self._windows.entries_between(band, since, before):
                if payee in document["payees"]:
                    found.append((document["committed_at"], ref, document))
        for _, ref, document in sorted(found, key=lambda one: one[:2]):
            yield ref, document
