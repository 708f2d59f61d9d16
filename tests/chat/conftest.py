"""Chats over fake providers and a ledger in memory, whose books are checked after every test."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from shared.answers.service import Answers
from shared.base.ids import AccountId, EntryId, RequestId
from shared.calls.models import Asking
from shared.calls.service import Calls
from shared.catalog.models import Model
from shared.catalog.service import Catalog
from shared.chat.models import ChatRequest
from shared.chat.service import Chats, ChatStream
from shared.ledger.chain import Walk
from shared.ledger.documents import entry_from
from shared.ledger.memory import MemoryLedgerStore
from shared.ledger.models import Entry, EntryKind, Head
from shared.ledger.service import Ledger
from shared.metering.service import Meter
from shared.pricing.demand import DemandSource, SteadyDemand
from shared.providers.gateway import Upstreams
from shared.providers.models import Provider
from shared.routing.models import NO_PREFERENCE, Preference
from shared.routing.service import Router
from shared.shelf.lending import Lender
from tests.answers.memory import MemoryAnswers
from tests.chat.builders import TEXT_MODEL, VISION_MODEL
from tests.ledger.builders import FaultyStore, Ticker, ledger_on
from tests.metering.owed import MemoryOwedCharges
from tests.providers.fake import KEY, FakeProvider, serve_provider
from tests.routing.memory import MemoryRouteHealth, SkippedTime

ADA = AccountId("user:ada")
FUNDS_MICROS = 1_000_000


@dataclass
class Shop:
    """Everything a chat goes through, in this process; two providers of every model, `first` before `second`."""

    first: FakeProvider
    second: FakeProvider
    store: MemoryLedgerStore = field(default_factory=MemoryLedgerStore)
    clock: Ticker = field(default_factory=Ticker)
    demand: DemandSource = field(default_factory=SteadyDemand)
    kept: MemoryAnswers = field(default_factory=MemoryAnswers)
    holds_left: int = 0
    """Holds that a test means to leave behind; they must at least expire."""
    upstreams: list[Upstreams] = field(default_factory=list)
    health: MemoryRouteHealth = field(default_factory=MemoryRouteHealth)
    time: SkippedTime = field(default_factory=SkippedTime)
    """Of the router, which waits without waiting."""
    lender: Lender | None = None
    """Where a test has contributed keys."""
    lent_only: bool = False
    """Whether they are all that opens the providers."""
    catalog: Catalog | None = None
    """A test's own, where the prices move."""
    _calls: int = 0

    def __post_init__(self) -> None:
        self.faulty = FaultyStore(self.store)
        self.ledger: Ledger = ledger_on(self.faulty, self.clock)
        self.owed = MemoryOwedCharges()

    def chats(self, *, call_timeout_s: float = 60.0, silence_timeout_s: float = 60.0) -> Chats:
        """Built at the end, when the providers' policies are set."""
        providers = self.providers()
        self.upstreams.append(Upstreams(providers, silence_timeout_s=silence_timeout_s))
        catalog = self.catalog or Catalog([TEXT_MODEL, VISION_MODEL], {provider.name for provider in providers})
        router = Router(catalog, self.health, clock=self.time, sleep=self.time.sleep)
        meter = Meter(self.ledger, self.owed)
        calls = Calls(
            router,
            self.upstreams[-1],
            meter,
            demand=self.demand,
            lender=self.lender,
            call_timeout_s=call_timeout_s,
        )
        return Chats(catalog, self.upstreams[-1], calls, Answers(self.kept, self.clock, shared=False))

    def calls(self, *models: Model) -> tuple[Catalog, Upstreams, Calls]:
        """What every service of whole calls is made of, over these models."""
        providers = self.providers()
        self.upstreams.append(Upstreams(providers))
        catalog = Catalog(models, {provider.name for provider in providers})
        router = Router(catalog, self.health, clock=self.time, sleep=self.time.sleep)
        return (
            catalog,
            self.upstreams[-1],
            Calls(router, self.upstreams[-1], Meter(self.ledger, self.owed), demand=self.demand, lender=self.lender),
        )

    def providers(self) -> list[Provider]:
        """What our side knows of both."""
        return [replace(fake.provider, lent_only=self.lent_only) for fake in (self.first, self.second)]

    def next_id(self) -> RequestId:
        self._calls += 1
        return RequestId(f"req_{self._calls}")

    def asking(self, preference: Preference = NO_PREFERENCE) -> Asking:
        """The next call of Ada's."""
        return Asking(account_id=ADA, request_id=self.next_id(), preference=preference)

    async def stream(self, request: ChatRequest, **timeouts: float) -> ChatStream:
        return await self.chats(**timeouts).stream(self.asking(), request)

    async def head(self) -> Head:
        return await ledger_on(self.store, self.clock).head(ADA)

    async def spent_micros(self) -> int:
        return FUNDS_MICROS - (await self.head()).balance_micros

    def entries(self) -> list[Entry]:
        """The account's entries in order, converted from what is stored."""
        owned = [entry_from(EntryId(ref[1]), document) for ref, document in self.store.entries.items()]
        return sorted(owned, key=lambda entry: entry.seq)

    def captures(self) -> list[Entry]:
        return [entry for entry in self.entries() if entry.kind is EntryKind.CAPTURE]

    async def check_books(self) -> None:
        """No hold is left that the test did not announce, the chain is whole, and nothing took more than it held."""
        head = await self.head()
        walk = Walk(ADA)
        for entry in self.entries():
            walk.step(entry)
        walk.finish(head)
        for entry in self.captures():
            assert 0 < -entry.delta_micros <= int(dict(entry.facts)["held_micros"])
        assert len(head.holds) == self.holds_left
        assert all(hold.expires_at_ms <= hold.placed_at_ms + 15 * 60_000 for hold in head.holds.values())


@pytest.fixture
async def shop(capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Shop]:
    """Ada has a million micros. Afterwards the books are right, and no key and no prompt is in any log line."""
    async with AsyncExitStack() as serving:
        first, second = [await serving.enter_async_context(serve_provider(name)) for name in ("first", "second")]
        shop = Shop(first, second)
        await shop.ledger.open(ADA)
        await shop.ledger.grant_promo(ADA, FUNDS_MICROS, lifetime_ms=10**10, key="funds", facts={})
        yield shop
        for upstreams in shop.upstreams:
            await upstreams.close()
        await shop.check_books()
    logged = capsys.readouterr()
    assert KEY not in logged.out + logged.err
    assert "Hello" not in logged.out + logged.err
