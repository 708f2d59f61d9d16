"""An earner, people who buy from her, a platform with money at Stripe's stand-in, and processes over all of it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from local.stripe.account import StripeAccount
from local.stripe.wire import sign
from shared.base.economy import DAY_MS
from shared.base.ids import AccountId, UserId
from shared.base.payment_mode import PaymentMode
from shared.base.secret import Secret
from shared.ledger.memory import MemoryLedgerArchive, MemoryLedgerStore, MemoryLedgerWindows
from shared.ledger.models import HOUSE_REVENUE, Entry, Share
from shared.ledger.reversals import Reversals
from shared.ledger.service import Ledger
from shared.ledger.settlement import Settlement
from shared.ledger.unsettled import committed_at_of
from shared.ledger.verify import entry_of, verify_ledger
from shared.payments.models import Order, Review
from shared.payments.store import review_id
from shared.payouts import rules
from shared.payouts.applier import ConnectApplier
from shared.payouts.decisions import Decisions
from shared.payouts.errors import PayoutBusy
from shared.payouts.events import ConnectEvents, ConnectInbox
from shared.payouts.models import ConnectEvent, Payout, PayoutId, PayoutState, Recipient
from shared.payouts.recipients import Recipients
from shared.payouts.schedule import PayoutSchedule
from shared.payouts.sending import Sending
from shared.payouts.service import Payouts
from shared.payouts.standings import EarnerStandings
from shared.payouts.stripe import StripeAccounts, StripeSender
from shared.tasks.service import Tasks
from tests.images.jobs import Fate, Mortal
from tests.ledger.builders import Ticker, engine_on
from tests.payments.stripe_bench import AccountApi
from tests.tasks.memory import MemoryQueues

ADA, BEN = UserId("ada"), UserId("ben")
EARN, WALLET, BUYER = AccountId("earn:ada"), AccountId("user:ada"), AccountId("user:ben")
EARNED = 2_700_000_000
ASKED = 2_000_000_000
TAKEN = rules.cost_micros(rules.worth_minor(ASKED))
AMOUNT_MINOR = 1_400
PLATFORM_MINOR = 100_000
SECRET = "whsec_connect"
MARGIN_MS = 600_000
"""After a window's end until it is settled for sure."""


class MemoryPayouts:
    """Payouts in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[PayoutId, Payout] = {}
        self.due_ms: dict[PayoutId, int | None] = {}

    async def create(self, payout: Payout) -> Payout:
        if payout.payout_id not in self.kept:
            self._put(payout)
        return self.kept[payout.payout_id]

    async def find(self, payout_id: PayoutId) -> Payout | None:
        return self.kept.get(payout_id)

    async def replace(self, before: Payout, after: Payout) -> None:
        if self.kept.get(before.payout_id) != before:
            raise PayoutBusy
        self._put(after)

    async def was_paid(self, owner: UserId) -> bool:
        return any(one.owner == owner and one.state is PayoutState.PAID for one in self.kept.values())

    async def owned_by(self, owner: UserId, *, after: PayoutId | None) -> Sequence[Payout]:
        return [self.kept[key] for key in sorted(self.kept) if self.kept[key].owner == owner and key > (after or "")]

    async def waiting(self, *, after: PayoutId | None) -> Sequence[Payout]:
        waits = [key for key, one in self.kept.items() if one.waits_for in rules.FOR_A_PERSON and key > (after or "")]
        return [self.kept[key] for key in sorted(waits)]

    async def due(self, *, at_ms: int) -> Sequence[PayoutId]:
        waiting = [(due_ms, key) for key, due_ms in self.due_ms.items() if due_ms is not None and due_ms <= at_ms]
        return [key for _, key in sorted(waiting)]

    async def looked(self, payout_id: PayoutId, *, due_ms: int | None) -> None:
        self.due_ms[payout_id] = due_ms

    def _put(self, payout: Payout) -> None:
        self.kept[payout.payout_id], self.due_ms[payout.payout_id] = payout, 0


class MemoryRecipients:
    """Recipients in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[UserId, Recipient] = {}

    async def create(self, recipient: Recipient) -> Recipient:
        return self.kept.setdefault(recipient.owner, recipient)

    async def find(self, owner: UserId) -> Recipient | None:
        return self.kept.get(owner)

    async def find_by(self, destination: str) -> Recipient | None:
        return next((one for one in self.kept.values() if one.destination == destination), None)

    async def replace(self, before: Recipient, after: Recipient) -> None:
        if self.kept.get(before.owner) != before:
            raise PayoutBusy
        self.kept[before.owner] = after


class MemoryIncome:
    """The newest entries of a ledger in memory."""

    def __init__(self, store: MemoryLedgerStore) -> None:
        self._store = store

    async def since(self, account_id: AccountId, since: datetime) -> Sequence[Entry]:
        mine = {ref: document for ref, document in self._store.entries.items() if ref[0] == account_id}
        return [entry_of(*ref, one) for ref, one in mine.items() if committed_at_of(ref, one) >= since]


class MemoryPurchases:
    """Orders in a dictionary."""

    def __init__(self) -> None:
        self.orders: dict[UserId, list[Order]] = {}

    async def of(self, owner: UserId) -> Sequence[Order]:
        return self.orders.get(owner, [])


class MemoryDoubts:
    """What a person is asked, each once."""

    def __init__(self) -> None:
        self.asked: dict[str, Review] = {}

    async def keep_review(self, review: Review, *, at_ms: int) -> None:
        self.asked.setdefault(review_id(review), review)

    def reasons(self) -> list[tuple[str, str]]:
        return [(one.reason, one.found) for one in self.asked.values()]


@dataclass
class Process:
    """What one process has built."""

    payouts: Payouts
    decisions: Decisions
    sending: Sending
    recipients: Recipients
    schedule: PayoutSchedule
    inbox: ConnectInbox
    applier: ConnectApplier
    ledger: Ledger


class PayoutBench:
    """The stores of one deployment, and processes over them."""

    def __init__(self) -> None:
        self.clock = Ticker()
        self.ledger_store = MemoryLedgerStore(self.clock)
        self.windows = MemoryLedgerWindows(self.ledger_store)
        self.stripe = StripeAccount(lambda: self.clock() // 1000)
        self.stripe.bank.top_up("usd", PLATFORM_MINOR)
        self.store, self.recipient_store, self.purchases = MemoryPayouts(), MemoryRecipients(), MemoryPurchases()
        self.doubts = MemoryDoubts()
        self.queues = MemoryQueues()
        self._delivered = len(self.stripe.events)
        self._done: set[str] = set()
        self._sales = 0

    def process(self, fate: Fate | None = None) -> Process:
        def through(inner: Any) -> Any:
            return Mortal(inner, fate) if fate else inner

        ledger_store, store = through(self.ledger_store), through(self.store)
        engine = engine_on(ledger_store)
        reversals, tasks = Reversals(engine, self.clock), Tasks(through(self.queues), "http://{function}", self.clock)
        api = through(AccountApi(self.stripe))
        sender = StripeSender(api, PaymentMode.TEST)
        accounts = StripeAccounts(api, "https://app.example/paid", PaymentMode.TEST)
        recipients = Recipients(through(self.recipient_store), accounts, self.clock)
        waits = rules.Waits()
        standings = EarnerStandings(
            recipients, ledger_store, MemoryIncome(self.ledger_store), self.purchases, waits, self.clock
        )
        sending = Sending(store, sender, through(self.doubts), engine, reversals, standings, waits, self.clock)
        return Process(
            Payouts(store, standings, sending, tasks, self.clock),
            Decisions(store, tasks, self.clock),
            sending,
            recipients,
            PayoutSchedule(store, tasks, self.clock),
            ConnectInbox(ConnectEvents(Secret(SECRET), PaymentMode.TEST), tasks, self.clock),
            ConnectApplier(sender, recipients, sending, store),
            Ledger(engine, ledger_store, self.clock),
        )

    async def open(self) -> None:
        ledger = self.process().ledger
        for account_id in (WALLET, BUYER):
            await ledger.open(account_id)

    async def onboard(self, owner: UserId = ADA) -> str:
        """A recipient whom the provider believes; the id of the account there."""
        recipients = self.process().recipients
        recipient, _ = await recipients.onboard(owner, "us")
        self.stripe.connect.onboard(recipient.destination)
        await recipients.look(owner)
        return recipient.destination

    async def sell(self, micros: int = EARNED, *, promo: bool = False, buyer: AccountId = BUYER) -> None:
        """Somebody uses what the earner sells, and the window is settled. The platform keeps a tenth."""
        self._sales += 1
        ledger, price = self.process().ledger, -(-micros * 10 // 9)
        key = f"sale-{self._sales}"
        if promo:
            await ledger.grant_promo(buyer, price, lifetime_ms=90 * DAY_MS, key=f"gift-{key}", facts={})
        elif buyer == BUYER:
            await ledger.grant_paid(buyer, price, key=f"bought-{key}", facts={})
        shares = (Share(HOUSE_REVENUE, 1), Share(EARN, 9))
        await ledger.debit(buyer, price, key=key, facts={}, shares=shares)
        await self.settle()

    async def settle(self) -> None:
        """Until every closed window is posted to those whom it owes."""
        self.clock.now_ms += MARGIN_MS
        engine = engine_on(self.ledger_store)
        while not (await Settlement(engine, self.windows, self.clock).run()).finished:
            pass

    async def ask(self, micros: int = ASKED, key: str = "one") -> Payout:
        return await self.process().payouts.request(ADA, micros, key=key)

    async def approve(self, payout: Payout) -> None:
        await self.process().decisions.approve(payout.payout_id, operator="olga", reason="known to us")

    async def advance(self, payout: Payout) -> Payout:
        return await self.process().sending.advance(payout.payout_id)

    async def on_its_way(self) -> Payout:
        """A payout that was approved, is old enough and was sent to the bank."""
        payout = await self.ask()
        await self.approve(payout)
        self.clock.now_ms += 8 * DAY_MS
        return await self.advance(payout)

    async def paid(self) -> Payout:
        """A payout that the bank took."""
        payout = await self.on_its_way()
        self.stripe.bank.arrive(payout.arrival_id or "")
        return await self.advance(payout)

    async def balance(self, account_id: AccountId = EARN) -> int:
        return (await self.process().ledger.head(account_id)).balance_micros

    def kept(self, payout: Payout) -> Payout:
        return self.store.kept[payout.payout_id]

    def transfers(self) -> list[dict[str, Any]]:
        return list(self.stripe.handle("GET", "/v1/transfers", {})["data"])

    def left_minor(self, owner: str = "") -> int:
        """What is in an account at the provider; the platform's own, unless a recipient's is named."""
        available = self.stripe.handle("GET", "/v1/balance", {}, owner=owner)["available"]
        return sum(one["amount"] for one in available)

    async def receive_events(self) -> None:
        """All that the provider has to tell, signed as it does, each event to a process of its own."""
        events = self.stripe.events[self._delivered :]
        self._delivered = len(self.stripe.events)
        for event in events:
            await self.receive(json.dumps(event).encode())

    async def receive(self, raw: bytes, secret: str = SECRET) -> None:
        headers = {"stripe-signature": sign(raw, secret, self.clock() // 1000)}
        await self.process().inbox.receive(raw, headers)

    async def work(self, fate: Fate | None = None, *, again: Callable[[str], bool] = lambda url: False) -> None:
        """Do the tasks that are due, each once; those of some functions `again`."""
        for task in list(self.queues.tasks.values()):
            if task.task_id in self._done and not again(task.url):
                continue
            process, told = self.process(fate), json.loads(task.body)
            if task.url.endswith("payout_send"):
                await process.sending.advance(PayoutId(told["payout_id"]))
            else:
                await process.applier.apply(msgspec.convert(told, ConnectEvent))
            self._done.add(task.task_id)

    async def pass_days(self, days: int) -> None:
        """Time goes by, and the timer runs each day."""
        for _ in range(days):
            self.clock.now_ms += DAY_MS
            await self.process().schedule.run()
            await self.work()

    async def check_books(self) -> None:
        """Every chain holds, and all credits come to nothing together."""
        await self.settle()
        archive = MemoryLedgerArchive(self.ledger_store)
        report = await verify_ledger(archive, (await self.windows.horizons()).settled_until)
        assert report.broken == ()
        assert report.drift_micros == 0


async def ready() -> PayoutBench:
    """A recipient whom the provider believes, with a sale behind her."""
    made = PayoutBench()
    await made.open()
    await made.onboard()
    await made.sell()
    return made
