"""A shop that sells by both rails on one chain in memory, with the functions that a payment is shown to."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from shared.base.errors import CredenceError, Kind
from shared.base.ids import AccountId, UserId
from shared.chain.models import Digest
from shared.payments.crypto.claims import Claims, Shown
from shared.payments.crypto.rail import CryptoRail, X402Rail
from shared.payments.crypto.topups import TopUps
from shared.payments.models import Order, OrderCheck, OrderId, RailName
from shared.payments.rails import Rail
from shared.tasks.service import Tasks
from tests.chain.memory import MemoryReservations
from tests.images.jobs import Fate, Mortal
from tests.ledger.builders import opened
from tests.payments.builders import BUYER, CREDIT, PACK, WALLET, Process, Shop
from tests.payments.chain_benches import ADA, CryptoBench
from tests.payments.memory_chain import TOKEN, MemoryChain, MemoryFacilitator, Person

PRICE = PACK.prices_minor["USD"] * 10_000
THIEF = UserId("mallory")
THIEFS_WALLET = AccountId("user:mallory")
MALLORY = Person(2)


@dataclass
class ChainProcess:
    """One process: it remembers nothing of others, and ends when its fate says so."""

    shop: Process
    claims: Claims
    topups: TopUps


class ChainShop(Shop):
    """The stores of one deployment, a chain, a facilitator, and processes over them."""

    def __init__(self) -> None:
        super().__init__(CryptoBench)
        self.chain = MemoryChain(self.clock)
        self.facilitator = MemoryFacilitator(self.chain)
        self.reservations = MemoryReservations()
        self.token = TOKEN

    def rails(self, through: Callable[[Any], Any]) -> dict[RailName, Rail]:
        chain = through(self.chain)
        x402 = X402Rail(chain, self.token, through(self.facilitator), through(self.reservations), self.clock)
        return {RailName.CRYPTO: CryptoRail(chain, self.token, self.clock), RailName.X402: x402}

    def shown_to(self, fate: Fate | None = None) -> ChainProcess:
        """A process that payments are shown to."""

        def through(inner: Any) -> Any:
            return Mortal(inner, fate) if fate else inner

        shop, rails, store = self.process(fate), self.rails(through), through(self.store)
        crypto, x402 = rails[RailName.CRYPTO], rails[RailName.X402]
        assert isinstance(crypto, CryptoRail)
        assert isinstance(x402, X402Rail)
        tasks = Tasks(through(self.queues), "http://{function}", self.clock)
        claims = Claims(store, crypto, shop.applier, tasks, self.clock)
        return ChainProcess(shop, claims, TopUps(shop.orders, store, x402, shop.applier, tasks, self.clock))

    async def open_wallets(self) -> None:
        await opened(self.ledger_store, accounts=(WALLET, THIEFS_WALLET))

    async def order_of(self, owner: UserId) -> Order:
        """Somebody's order of the pack, to be paid by a transfer."""
        orders = self.process().orders
        return await orders.checkout(owner, RailName.CRYPTO, PACK.pack_id, "USD", key="an order")

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
        claims = self.shown_to(fate).claims
        return await claims.claim(owner, order.order_id, transaction, signature, log_index=log_index)

    async def top_up(
        self, payment: str | None, *, key: str = "top-up", owner: UserId = BUYER, fate: Fate | None = None
    ) -> Shown:
        """One call of the function, with a payment or without."""
        return await self.shown_to(fate).topups.top_up(owner, PACK.pack_id, key=key, payment=payment)

    async def look(self) -> int:
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

    async def thiefs_credits(self) -> float:
        """Whatever the thief has."""
        lots = (await self.process().ledger.head(THIEFS_WALLET)).lots
        return sum(lot.remaining_micros for lot in lots) / CREDIT
