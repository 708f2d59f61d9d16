"""A shop whose provider keeps books, and whoever holds them against ours day by day."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from shared.ledger.memory import MemoryLedgerArchive, MemoryLedgerWindows
from shared.ledger.settlement import Settlement
from shared.payments.models import Money, Order, PaymentId, RailName
from shared.reconciliation.days import day_of
from shared.reconciliation.evidence import Evidence
from shared.reconciliation.finance import Finance
from shared.reconciliation.healing import Healing
from shared.reconciliation.houses import HouseDays
from shared.reconciliation.models import Line, LineKind, Ticket, TicketState
from shared.reconciliation.payouts import PayoutContents
from shared.reconciliation.postings import LedgerDays
from shared.reconciliation.recheck import Recheck
from shared.reconciliation.service import ReconcileDone, Reconciliation
from shared.reconciliation.settlement import DailySettlement, SettlementDone
from shared.reconciliation.statements import Statements
from shared.reconciliation.sums import LedgerSums
from shared.reconciliation.tickets import ticket_from
from shared.tasks.service import Tasks
from tests.images.jobs import Fate, Mortal
from tests.ledger.builders import DAY, engine_on
from tests.payments.builders import PACK, Shop
from tests.payments.stripe_bench import StripeBench
from tests.reconciliation.memory import (
    MemoryBooks,
    MemoryDeferredHeads,
    MemoryEarnerPayouts,
    MemoryHouseBooks,
    MemoryPaidOrders,
    MemorySales,
    MemoryStatements,
    MemoryTickets,
)
from tests.risk.memory import MemoryRisk

STRIPE = RailName.STRIPE
FEE = 44
PRICE = PACK.prices_minor["USD"]


class Mortals(Mortal):
    """A provider's books as a process of that fate reaches them: what reads nothing costs no step."""

    subject_of: Callable[..., Any]

    def __init__(self, inner: Statements, fate: Fate) -> None:
        super().__init__(inner, fate)
        self.subject_of = inner.subject_of
        self.sells, self.recounts = inner.sells, inner.recounts
        self.pays_earners, self.tells_payouts = inner.pays_earners, inner.tells_payouts


class Office:
    """The stores of one deployment, its provider's books, and processes over them."""

    def __init__(self, page_lines: int = 100, shop: Shop | None = None) -> None:
        self.shop = shop or Shop(StripeBench)
        self.clock = self.shop.clock
        self.statements: Any = MemoryStatements(page_lines)
        self.books = MemoryBooks()
        self.tickets = MemoryTickets()
        self.house_books = MemoryHouseBooks()
        self.payouts = MemoryEarnerPayouts()
        self.windows = MemoryLedgerWindows(self.shop.ledger_store)
        self.heads = MemoryDeferredHeads(self.shop.ledger_store)

    @property
    def today(self) -> str:
        return day_of(self.clock())

    def processes(
        self, fate: Fate | None = None, count: Callable[[Any], Any] = lambda inner: inner
    ) -> tuple[DailySettlement, Reconciliation]:
        """What settles and what compares, in one process that remembers nothing of others. `count` sees its stores."""

        def through(inner: Any) -> Any:
            return Mortal(inner, fate) if fate else count(inner)

        shown: Any = Mortals(self.statements, fate) if fate else self.statements
        statements: dict[RailName, Statements] = {self.statements.name: shown}
        books, tickets = through(self.books), through(self.tickets)
        orders = through(MemoryPaidOrders(self.shop.store))
        evidence = Evidence(books, orders, through(self.payouts), through(self.shop.ledger_store))
        contents = PayoutContents(statements, books)
        healing = Healing(statements, Tasks(through(self.shop.queues), "http://{function}", self.clock), self.clock)
        houses = HouseDays(MemoryLedgerArchive(self.shop.ledger_store), self.heads, through(self.house_books))
        reconciliation = Reconciliation(
            statements=statements,
            books=books,
            tickets=tickets,
            orders=orders,
            evidence=evidence,
            contents=contents,
            recheck=Recheck(statements, tickets, evidence, contents, healing, self.clock),
            healing=healing,
            ledger_days=LedgerDays(self.windows, MemorySales(self.windows), houses, evidence),
            clock=self.clock,
        )
        return DailySettlement(statements, books, self.clock), reconciliation

    def finance(self) -> Finance:
        return Finance(self.books, self.house_books, LedgerSums(self.windows, self.heads))

    async def buy(self, *, is_told: bool = True) -> tuple[Order, Line]:
        """Somebody buys; the provider tells us, or not, and has it in its books."""
        # How often somebody may buy is tested elsewhere.
        self.shop.risk_store = MemoryRisk()
        order = await self.shop.order()
        payment_id = self.shop.bench.pay(order)
        if is_told:
            await self.shop.settle()
        else:
            self.shop.bench.deliveries()
        line = self.charge(order, payment_id)
        self.statements.show(line)
        return order, line

    def charge(self, order: Order, payment_id: PaymentId) -> Line:
        name = f"txn_{len(self.statements.shown):06d}"
        charge_id = self.shop.bench.account.handle("GET", f"/v1/payment_intents/{payment_id}", {})["latest_charge"]
        return Line(
            line_id=name,
            kind=LineKind.PAYMENT,
            amount_minor=order.money.amount_minor,
            fee_minor=FEE,
            currency="USD",
            at_ms=self.clock(),
            about=charge_id,
            payment_id=payment_id,
            order_id=order.order_id,
            money=order.money,
        )

    async def refund(self, line: Line, amount_minor: int, *, is_told: bool = True) -> Line:
        """Somebody refunds in the dashboard."""
        assert line.payment_id is not None
        refund_id = self.shop.bench.give_back(line.payment_id, amount_minor)
        if is_told:
            await self.shop.settle()
        else:
            self.shop.bench.deliveries()
        shown = replace(
            line,
            line_id=f"txn_{len(self.statements.shown):06d}",
            kind=LineKind.REFUND,
            amount_minor=-amount_minor,
            fee_minor=0,
            about=refund_id,
            order_id=None,
            money=Money(amount_minor, "USD"),
            at_ms=self.clock(),
        )
        self.statements.show(shown)
        return shown

    async def settle_ledger(self) -> None:
        """What `ledger_settle` does every five minutes."""
        await Settlement(engine_on(self.shop.ledger_store), self.windows, self.clock).run()

    async def night(self, days: int = 1) -> ReconcileDone:
        """Let days pass; after each, whatever runs at night. Answers what the last one did."""
        done = ReconcileDone()
        for _ in range(days):
            self.clock.now_ms += DAY
            await self.settle_ledger()
            await self.settle()
            done = await self.reconcile()
        return done

    async def settle(self, day: str | None = None) -> SettlementDone:
        return await self.processes()[0].run(day)

    async def reconcile(self) -> ReconcileDone:
        return await self.processes()[1].run()

    def all_tickets(self) -> list[Ticket]:
        return [ticket_from(fields) for fields in self.tickets.kept.values()]

    def open_tickets(self) -> list[tuple[str, str]]:
        """Kind and thing of each open ticket."""
        return sorted(
            (one.difference.kind.value, one.difference.thing.kind.value)
            for one in self.all_tickets()
            if one.state is TicketState.OPEN
        )
