"""Cards over a ledger in memory, with a store that fails where a test says so."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence

from shared.base.ids import AccountId, UserId
from shared.cards.errors import CardsUnavailable
from shared.cards.keys import CardKeys
from shared.cards.models import Card, CardId, CardRecord, CardStatus, Terms
from shared.cards.service import Cards, random_secret
from shared.cards.store import PAGE_CARDS_MAX, CardChanged, CardExists, Kept, Version
from shared.ledger.funds import Funds
from shared.ledger.memory import MemoryLedgerStore
from shared.ledger.models import Entry, Head
from shared.ledger.service import Ledger
from shared.ledger.store import EntryRef, HeadWrite, Snapshot
from shared.ledger.store import Version as HeadVersion
from tests.ledger.builders import Ticker, engine_on

ADA, BEN = UserId("ada"), UserId("ben")
WALLET = AccountId("user:ada")
TERMS = Terms("a card")


class Fate:
    """Ends a process at its n-th call of any store, before the call does anything or after it did all.

    A process that ended does nothing more: its call never returns.
    """

    def __init__(self, dies_at: int, *, after: bool = False) -> None:
        self.dies_at = dies_at
        self.after = after
        self.calls = 0
        self.dead = asyncio.Event()

    async def before(self) -> None:
        self.calls += 1
        if self.calls >= self.dies_at and not (self.after and self.calls == self.dies_at):
            await self._die()

    async def done(self) -> None:
        if self.calls == self.dies_at:
            await self._die()

    async def _die(self) -> None:
        self.dead.set()
        await asyncio.Event().wait()

    async def meet(self, work: Coroutine[None, None, object]) -> None:
        """Let the work run until its process ends, or until it is done, if that comes first."""
        task, end = asyncio.ensure_future(work), asyncio.ensure_future(self.dead.wait())
        await asyncio.wait([task, end], return_when=asyncio.FIRST_COMPLETED)
        for pending in (task, end):
            pending.cancel()
        await asyncio.gather(task, end, return_exceptions=True)


class MemoryCards:
    """Records of cards in a dictionary: the promises of the store."""

    def __init__(self) -> None:
        self.kept: dict[CardId, Kept] = {}
        self.reads = 0
        self.down = False
        self.page_cards_max = PAGE_CARDS_MAX
        self._versions = 0

    async def create(self, record: CardRecord) -> Kept:
        if record.card.card_id in self.kept:
            raise CardExists
        return self._keep(record)

    async def replace(self, kept: Kept, record: CardRecord) -> Kept:
        if self.kept[record.card.card_id].version != kept.version:
            raise CardChanged
        return self._keep(record)

    async def find(self, card_id: CardId) -> Kept | None:
        self.reads += 1
        if self.down:
            raise CardsUnavailable
        return self.kept.get(card_id)

    async def owned_by(self, owner: UserId, *, after: CardId | None) -> list[Card]:
        owned = [kept.record.card for _, kept in sorted(self.kept.items()) if kept.record.card.owner == owner]
        return [card for card in owned if after is None or card.card_id > after][: self.page_cards_max]

    async def closing(self, *, after: CardId | None) -> list[Card]:
        if self.down:
            raise CardsUnavailable
        cards = [kept.record.card for _, kept in sorted(self.kept.items())]
        waiting = [card for card in cards if card.status is CardStatus.CLOSING]
        return [card for card in waiting if after is None or card.card_id > after][: self.page_cards_max]

    def _keep(self, record: CardRecord) -> Kept:
        self._versions += 1
        self.kept[record.card.card_id] = Kept(record, Version(self._versions))
        return self.kept[record.card.card_id]


class FatedCards(MemoryCards):
    """The same, in a process whose end is decided."""

    def __init__(self, inner: MemoryCards, fate: Fate) -> None:
        self._inner = inner
        self._fate = fate

    async def create(self, record: CardRecord) -> Kept:
        await self._fate.before()
        kept = await self._inner.create(record)
        await self._fate.done()
        return kept

    async def replace(self, kept: Kept, record: CardRecord) -> Kept:
        await self._fate.before()
        replaced = await self._inner.replace(kept, record)
        await self._fate.done()
        return replaced

    async def find(self, card_id: CardId) -> Kept | None:
        await self._fate.before()
        return await self._inner.find(card_id)


class FatedLedger:
    """A ledger's store in such a process."""

    def __init__(self, inner: MemoryLedgerStore, fate: Fate) -> None:
        self._inner = inner
        self._fate = fate

    async def read(self, account_ids: Sequence[AccountId], entry_refs: Sequence[EntryRef]) -> Snapshot:
        await self._fate.before()
        return await self._inner.read(account_ids, entry_refs)

    async def commit(self, heads: Sequence[HeadWrite], entries: Sequence[Entry]) -> Mapping[AccountId, HeadVersion]:
        await self._fate.before()
        versions = await self._inner.commit(heads, entries)
        await self._fate.done()
        return versions


class Desk:
    """The stores of one deployment, and one process over them."""

    def __init__(self) -> None:
        self.memory = MemoryLedgerStore()
        self.records = MemoryCards()
        self.clock = Ticker()
        self.cards, self.keys, self.ledger = self.process()

    def process(self, fate: Fate | None = None) -> tuple[Cards, CardKeys, Ledger]:
        """Another process: it remembers nothing."""
        records = FatedCards(self.records, fate) if fate else self.records
        store = FatedLedger(self.memory, fate) if fate else self.memory
        engine = engine_on(store)
        ledger, funds = Ledger(engine, store, self.clock), Funds(engine, self.clock)
        cards = Cards(ledger, funds, records, self.clock, random_secret)
        return cards, CardKeys(cards, ledger, funds, records, self.clock), ledger

    async def open_wallet(self, *, paid: int = 0, promo: int = 0, lifetime_ms: int = 10**9) -> None:
        await self.ledger.open(WALLET)
        if paid:
            await self.ledger.grant_paid(WALLET, paid, key="paid", facts={})
        if promo:
            await self.ledger.grant_promo(WALLET, promo, lifetime_ms=lifetime_ms, key="promo", facts={})

    async def card(self, amount: int = 0, terms: Terms = TERMS, *, key: str = "one") -> tuple[Card, str]:
        """A finished card and its key."""
        created = await self.cards.create(ADA, terms, amount, key=key)
        assert created.key is not None
        return created.card, created.key.reveal()

    async def head(self, account_id: AccountId = WALLET) -> Head:
        head = (await self.memory.read([account_id], ())).heads[account_id].head
        assert head is not None
        return head


def secret_of(key: str) -> str:
    """The part of a key that nobody may see."""
    return key.split("_", 2)[2]
