"""Both ways to pay on a chain as the tests drive them: a chain in memory, buyers with keys, and processes that die."""

import json
from dataclasses import dataclass
from typing import Any

import msgspec

from shared.base.errors import CredenceError, Kind
from shared.base.ids import AccountId, UserId
from shared.chain.models import Digest
from shared.ledger.funds import Funds
from shared.ledger.memory import MemoryLedgerArchive, MemoryLedgerStore
from shared.ledger.models import Origin
from shared.ledger.reversals import Reversals
from shared.ledger.service import Ledger
from shared.ledger.verify import verify_account
from shared.payments.applier import Applier
from shared.payments.crypto.claims import Claims, Shown
from shared.payments.crypto.rail import ChainRail, CryptoRail, X402Rail
from shared.payments.crypto.topups import TopUps
from shared.payments.models import Order, OrderCheck, OrderId, RailName
from shared.payments.posting import PaymentPosting
from shared.payments.refunds import Refunds
from shared.payments.service import Orders
from shared.tasks.service import Tasks
from tests.chain.memory import MemoryReservations
from tests.images.jobs import Fate, Mortal
from tests.ledger.builders import Ticker, engine_on, opened
from tests.payments.builders import BUYER, CREDIT, PACK, WALLET
from tests.payments.chain_benches import ADA
from tests.payments.memory import MemoryPayments
from tests.payments.memory_chain import TOKEN, MemoryChain, MemoryFacilitator, Person
from tests.tasks.memory import MemoryQueues

PRICE = PACK.prices_minor["USD"] * 10_000
THIEF = UserId("mallory")
THIEFS_WALLET = AccountId("user:mallory")
MALLORY = Person(2)


@dataclass
class Process:
    """One process: it remembers nothing of others, and ends when its fate says so."""

    orders: Orders
    claims: Claims
    topups: TopUps
    applier: Applier
    refunds: Refunds
    ledger: Ledger


class ChainShop:
    """The stores of one deployment, a chain, a facilitator, and processes over them."""

    def __init__(self) -> None:
        self.clock = Ticker()
        self.ledger_store = MemoryLedgerStore(self.clock)
        self.store = MemoryPayments()
        self.queues = MemoryQueues()
        self.chain = MemoryChain(self.clock)
        self.facilitator = MemoryFacilitator(self.chain)
        self.reservations = MemoryReservations()
        self.token = TOKEN
        self._done: set[str] = set()
        self._orders = 0

    async def open_wallets(self) -> None:
        await opened(self.ledger_store, accounts=(WALLET, THIEFS_WALLET))

    def process(self, fate: Fate | None = None) -> Process:
        def through(inner: Any) -> Any:
            return Mortal(inner, fate) if fate else inner

        clock, store, chain = self.clock, through(self.store), through(self.chain)
        engine = engine_on(through(self.ledger_store))
        ledger = Ledger(engine, through(self.ledger_store), clock)
        crypto = CryptoRail(chain, self.token, clock)
        x402 = X402Rail(chain, self.token, through(self.facilitator), through(self.reservations), clock)
        rails: dict[RailName, ChainRail] = {RailName.CRYPTO: crypto, RailName.X402: x402}
        tasks = Tasks(through(self.queues), "http://{function}", clock)
        posting = PaymentPosting(ledger, Reversals(engine, clock), Funds(engine, clock))
        applier = Applier(store, rails, posting, clock)
        orders = Orders(ledger, store, rails, tasks, clock)
        claims = Claims(store, crypto, applier, tasks, clock)
        refunds = Refunds(ledger, store, rails, posting, applier, tasks, clock)
        return Process(orders, claims, TopUps(orders, store, x402, applier, tasks, clock), applier, refunds, ledger)

    async def order(self, owner: UserId = BUYER) -> Order:
        """An order of the pack, to be paid by a transfer."""
        self._orders += 1
        orders = self.process().orders
        return await orders.checkout(owner, RailName.CRYPTO, PACK.pack_id, "USD", key=f"order-{self._orders}")

    async def claim(
        self,
        order: Order,
        transaction: Digest,
        *,
        by: Person = ADA,
        owner: UserId = BUYER,
        signature: str | None = None,
        log_index: int | None = None,
        fate: Fate | None = None,
    ) -> Shown:
        """The owner says that the transaction pays the order."""
        signature = signature or by.claim(order.order_id, transaction)
        claims = self.process(fate).claims
        return await claims.claim(owner, order.order_id, transaction, signature, log_index=log_index)

    async def top_up(
        self, payment: str | None, *, key: str = "top-up", owner: UserId = BUYER, fate: Fate | None = None
    ) -> Shown:
        """One call of the function, with a payment or without."""
        return await self.process(fate).topups.top_up(owner, PACK.pack_id, key=key, payment=payment)

    async def work(self) -> int:
        """Deliver the tasks that are due; those that are answered `busy` come again. How many did."""
        again = 0
        for task in list(self.queues.tasks.values()):
            if task.task_id in self._done or (task.at_ms or 0) > self.clock():
                continue
            check = msgspec.convert(json.loads(task.body), OrderCheck)
            try:
                await self.process().applier.check(OrderId(check.order_id))
            except CredenceError as refusal:
                if refusal.kind not in (Kind.BUSY, Kind.UNAVAILABLE):
                    raise
                again += 1
            else:
                self._done.add(task.task_id)
        return again

    def wait(self, ms: int) -> None:
        self.clock.now_ms += ms

    async def credits(self, account_id: AccountId = WALLET) -> tuple[float, float]:
        """Paid and promotional credits of a wallet."""
        lots = (await self.process().ledger.head(account_id)).lots
        paid = sum(lot.remaining_micros for lot in lots if lot.origin is Origin.PAID)
        return paid / CREDIT, sum(lot.remaining_micros for lot in lots if lot.origin is Origin.PROMO) / CREDIT

    def kept(self, order: Order) -> Order:
        return self.store.orders[order.order_id].order

    def reasons(self) -> set[str]:
        """Why a person was asked to look."""
        return {review.reason for review in self.store.reviews.values()}

    async def check_books(self) -> None:
        """Every chain of the ledger holds."""
        archive = MemoryLedgerArchive(self.ledger_store)
        for account_id in self.ledger_store.heads:
            await verify_account(archive, account_id)
