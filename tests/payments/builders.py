"""A shop over stores in memory, whose processes die where a test says so. A rail is driven by its bench."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from shared.base.economy import PACKS
from shared.base.ids import AccountId, UserId
from shared.base.secret import Secret
from shared.ledger.documents import head_from
from shared.ledger.funds import Funds
from shared.ledger.memory import MemoryLedgerArchive, MemoryLedgerStore
from shared.ledger.models import Head, Origin
from shared.ledger.reversals import Reversals
from shared.ledger.service import Ledger
from shared.ledger.verify import verify_account
from shared.payments.applier import Applier
from shared.payments.inbox import Inbox
from shared.payments.models import Order, OrderId, PaymentApply, RailName
from shared.payments.posting import PaymentPosting
from shared.payments.rails import Rail
from shared.payments.refunds import Refunds
from shared.payments.service import Orders
from shared.payments.store import PaymentStore
from shared.risk.service import Risk
from shared.tasks.service import Tasks
from tests.images.jobs import Fate, Mortal
from tests.ledger.builders import Ticker, engine_on, opened
from tests.payments.bench import Bench, Delivery
from tests.payments.chain_benches import CryptoBench, X402Bench
from tests.payments.memory import MemoryPayments
from tests.payments.paypal_bench import PayPalBench
from tests.payments.razorpay_bench import RazorpayBench
from tests.payments.stripe_bench import StripeBench
from tests.risk.memory import MemoryRisk
from tests.tasks.memory import MemoryQueues

BUYER = UserId("ada")
WALLET = AccountId("user:ada")
CREDIT = 1_000_000
RISK_KEY = Secret("of a shop that exists in tests only")
PACK = next(pack for pack in PACKS if pack.pack_id == "popular")
BENCHES: tuple[type[Bench], ...] = (StripeBench, RazorpayBench, PayPalBench, CryptoBench, X402Bench)
"""A further rail adds its bench here, and is put to every test of the matrix."""


@dataclass
class Process:
    """One process: it remembers nothing of others, and ends when its fate says so."""

    orders: Orders
    inbox: Inbox
    applier: Applier
    refunds: Refunds
    ledger: Ledger
    risk: Risk
    store: PaymentStore


class Shop:
    """The stores of one deployment, its provider, and processes over them."""

    def __init__(self, bench: type[Bench] = StripeBench) -> None:
        self.clock = Ticker()
        self.ledger_store = MemoryLedgerStore(self.clock)
        self.store = MemoryPayments()
        self.risk_store = MemoryRisk()
        self.queues = MemoryQueues()
        self.bench = bench(self.clock)
        self._done: set[str] = set()
        self._orders = 0

    def process(self, fate: Fate | None = None) -> Process:
        def through(inner: Any) -> Any:
            return Mortal(inner, fate) if fate else inner

        ledger_store, store = through(self.ledger_store), through(self.store)
        engine = engine_on(ledger_store)
        ledger, reversals = Ledger(engine, ledger_store, self.clock), Reversals(engine, self.clock)
        rails = self.rails(through)
        tasks = Tasks(through(self.queues), "http://{function}", self.clock)
        posting = PaymentPosting(ledger, reversals, Funds(engine, self.clock))
        risk = Risk(through(self.risk_store), RISK_KEY, self.clock, address_from_end=1)
        applier = Applier(store, rails, posting, risk, self.clock)
        return Process(
            Orders(ledger, store, rails, risk, tasks, self.clock),
            Inbox(self.bench.reader(), tasks, self.clock),
            applier,
            Refunds(ledger, store, rails, posting, applier, risk, tasks, self.clock),
            ledger,
            risk,
            store,
        )

    def rails(self, through: Callable[[Any], Any]) -> dict[RailName, Rail]:
        """What a process sells by."""
        return {self.bench.name: self.bench.rail(through)}

    async def open_wallet(self) -> None:
        await opened(self.ledger_store, accounts=(WALLET,))

    async def order(self, key: str | None = None) -> Order:
        """An order of the pack, ready to be paid."""
        self._orders += 1
        key = key or f"order-{self._orders}"
        return await self.process().orders.checkout(BUYER, self.bench.name, PACK.pack_id, self.bench.currency, key=key)

    async def receive(self, deliveries: Sequence[Delivery]) -> None:
        """Take events in, each in a process of its own."""
        for raw, headers in deliveries:
            await self.process().inbox.receive(raw, headers)

    async def work(self) -> None:
        """Do the tasks that are due, each once and in a process of its own."""
        for task in list(self.queues.tasks.values()):
            is_due = task.at_ms is None or task.at_ms <= self.clock()
            if is_due and task.task_id not in self._done:
                self._done.add(task.task_id)
                await self.run(task.url, json.loads(task.body))

    async def run(self, url: str, payload: dict[str, Any], fate: Fate | None = None) -> None:
        """One delivery of one task."""
        applier = self.process(fate).applier
        if url.endswith("payment_apply"):
            await applier.apply(msgspec.convert(payload, PaymentApply))
        else:
            await applier.check(OrderId(payload["order_id"]))

    def told(self) -> list[dict[str, Any]]:
        """What every task about an event says, oldest first, done or not."""
        return [json.loads(task.body) for task in self.queues.tasks.values() if task.url.endswith("payment_apply")]

    async def settle(self) -> None:
        """Whatever happened at the provider is told, and worked at."""
        await self.receive(self.bench.deliveries())
        await self.work()

    async def spend(self, credits: int) -> None:
        ledger = self.process().ledger
        await ledger.debit(WALLET, credits * CREDIT, key=f"spend-{credits}", facts={"reason": "a call"})

    async def head(self) -> Head:
        return await self.process().ledger.head(WALLET)

    async def micros(self) -> tuple[int, int]:
        """Paid and promotional credits of the wallet."""
        lots = (await self.head()).lots
        paid = sum(lot.remaining_micros for lot in lots if lot.origin is Origin.PAID)
        return paid, sum(lot.remaining_micros for lot in lots if lot.origin is Origin.PROMO)

    async def credits(self) -> tuple[float, float]:
        """The same in credits, for tests of whole ones."""
        paid, promo = await self.micros()
        return paid / CREDIT, promo / CREDIT

    async def set_aside(self) -> int:
        """What waits in escrow accounts, in micros."""
        heads = [head_from(name, kept) for name, kept in self.ledger_store.heads.items() if name.startswith("escrow:")]
        return sum(head.balance_micros for head in heads)

    def kept(self, order: Order) -> Order:
        return self.store.orders[order.order_id].order

    def reasons(self) -> set[str]:
        """Why a person was asked to look."""
        return {review.reason for review in self.store.reviews.values()}

    async def check_books(self) -> None:
        """Every chain holds."""
        archive = MemoryLedgerArchive(self.ledger_store)
        for account_id in self.ledger_store.heads:
            await verify_account(archive, account_id)
