"""Looks again at what open tickets are about. One whose two sides agree is resolved, and no other."""

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import Struct

from shared.base.clock import Clock
from shared.base.ids import AccountId, EntryId
from shared.base.log import write_line
from shared.payments.errors import RailRefused, RailUnavailable
from shared.payments.models import OrderId, RailName
from shared.reconciliation import rules, sum_rules
from shared.reconciliation.evidence import Evidence
from shared.reconciliation.healing import Healing
from shared.reconciliation.models import Difference, SubjectKind, Ticket
from shared.reconciliation.payouts import PayoutContents
from shared.reconciliation.statements import Statements
from shared.reconciliation.tickets import PAGE_TICKETS_MAX, Tickets

WAITS_MAX = 2
"""Tickets of a page for which a provider is waited in vain: each wait takes most of a minute, and a run has five. It is
not the first alone that says so, for what one ticket is about may be what the provider cannot tell."""


class Rechecked(Struct, frozen=True):
    """What came of looking again, and after which ticket to go on; None at the end."""

    resolved: int
    after: str | None


class Recheck:
    """Goes through open tickets. A repeat goes through what is still open."""

    def __init__(
        self,
        statements: Mapping[RailName, Statements],
        tickets: Tickets,
        evidence: Evidence,
        contents: PayoutContents,
        healing: Healing,
        clock: Clock,
    ) -> None:
        self._statements = statements
        self._tickets = tickets
        self._evidence = evidence
        self._contents = contents
        self._healing = healing
        self._clock = clock

    async def page(self, after: str | None) -> Rechecked:
        """Look again at one page of open tickets.

        Raise PaymentsUnavailable, LedgerUnavailable or TasksUnavailable.
        """
        found = await self._tickets.open(after)
        agree: list[str] = []
        differ: list[Difference] = []
        waited: Counter[RailName] = Counter()
        for name, ticket in found:
            rail = ticket.difference.rail
            if waited[rail] >= WAITS_MAX:
                continue
            try:
                now = [one for one in await self._now(ticket) if rules.ticket_id(one) == name]
            except RailRefused:
                # Nobody can say whether the two sides agree, so the ticket stays as it is.
                continue
            except RailUnavailable:
                waited[rail] += 1
                write_line("WARNING", "ticket_not_rechecked", ticket=name, rail=rail.value)
                continue
            differ += now
            agree += [] if now else [name]
        # If we die here or between the two, the tickets are still open and are looked at again.
        await self._tickets.note(differ, at_ms=self._clock())
        if agree:
            await self._tickets.resolve(agree, at_ms=self._clock())
            write_line("INFO", "tickets_resolved", count=len(agree))
        return Rechecked(len(agree), found[-1][0] if len(found) == PAGE_TICKETS_MAX else None)

    async def _now(self, ticket: Ticket) -> Sequence[Difference]:
        """How the two sides differ now, in whatever way."""
        was, thing = ticket.difference, ticket.difference.thing
        if thing.kind is SubjectKind.ENTRY:
            account_id, _, entry_id = thing.name.rpartition("/")
            entry = await self._evidence.entry(AccountId(account_id), EntryId(entry_id))
            # A posting that vanished is for the ledger's audit, and no agreement.
            return await self._evidence.of_entries([entry], was.rail, thing.day) if entry else [was]
        if thing.kind is SubjectKind.LEDGER:
            # Closed windows never change, so this is for `verify ledger` and a person.
            return [was]
        statements = self._statements.get(was.rail)
        if statements is None:
            # Whoever turned the rail off has not thereby agreed.
            return [was]
        match thing.kind:
            case SubjectKind.LINE:
                return await self._line(statements, was)
            case SubjectKind.ORDER:
                order = await self._evidence.order(OrderId(thing.name))
                return await self._evidence.of_orders(was.rail, [order]) if order else [was]
            case SubjectKind.EARNER_PAYOUT:
                paid = await self._evidence.payout(thing.name)
                return await self._evidence.of_payouts(was.rail, [paid]) if paid else [was]
            case SubjectKind.PAYOUT | SubjectKind.CONTENT:
                payout = await statements.bank_payout(thing.name.partition("/")[0])
                # One that came back takes nothing to the bank: its lines are in another one, or late.
                return await self._contents.differences(was.rail, thing.day, payout) if payout else []
            case SubjectKind.DAY:
                return await self._count(statements, was)
            case SubjectKind.BALANCE:
                return await self._contents.balances(was.rail, thing.day)
            case SubjectKind.UNPAID:
                return await self._contents.late(was.rail, thing.day)

    async def _line(self, statements: Statements, was: Difference) -> Sequence[Difference]:
        line = await statements.line(was.thing.name)
        if line is None:
            return [was]
        found = await self._evidence.of_lines(was.rail, was.thing.day, [line])
        await self._healing.heal(was.rail, found)
        return [difference for compared in found for difference in compared.differences]

    async def _count(self, statements: Statements, was: Difference) -> Sequence[Difference]:
        day, shown, booked = was.thing.day, 0, 0
        cursor: str | None = None
        while True:
            page = await statements.lines(day, cursor)
            shown, cursor = shown + await self._evidence.booked_among(was.rail, page.lines), page.cursor
            if cursor is None:
                break
        async for kept in self._contents.booked(was.rail, day):
            booked += len(kept)
        difference = sum_rules.of_count(was.rail, day, booked=booked, shown=shown)
        return [difference] if difference else []
