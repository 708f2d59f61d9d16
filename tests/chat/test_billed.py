"""What a call asks of Firestore once its process is warm: three writes and no read, and one read more for a lookup."""

from collections.abc import AsyncIterator

import pytest

from bench.rpcs import RpcCounter
from local.stack import Stack
from shared.answers.service import Answers
from shared.answers.store import FirestoreAnswers
from shared.base.clock import system_clock
from shared.base.ids import AccountId, RequestId
from shared.calls.models import Asking
from shared.calls.service import Calls
from shared.catalog.service import Catalog
from shared.catalog.store import FirestoreModels
from shared.chat.service import Chats
from shared.ledger.store import FirestoreLedgerStore
from shared.metering.service import Meter
from shared.pricing.demand import Demand
from shared.pricing.store import FirestorePrices
from shared.providers.gateway import Upstreams
from shared.routing.service import Router
from shared.routing.store import FirestoreRouteHealth
from tests.chat.builders import TEXT_MODEL, request_of
from tests.database import firestore_at
from tests.ledger.builders import ledger_on
from tests.metering.owed import MemoryOwedCharges
from tests.providers import fake
from tests.providers.fake import FakeProvider, serve_provider

ADA = AccountId("user:ada")
WHOLE = fake.whole(fake.completion(usage=fake.usage()))


class Warm:
    """Chats over Firestore that have answered twice, with a count of what they ask of it from then on."""

    def __init__(self, chats: Chats, provider: FakeProvider, counter: RpcCounter) -> None:
        self._chats = chats
        self._provider = provider
        self._counter = counter
        self._calls = 0

    async def ask(self, **fields: object) -> tuple[float, float, str]:
        """Billed reads and writes of one call, and what it says of the cache."""
        self._calls += 1
        self._provider.replies = type(self._provider.replies)([WHOLE])
        self._counter.take()
        answer = await self._chats.answer(
            Asking(account_id=ADA, request_id=RequestId(f"req_{self._calls}")), request_of(**fields)
        )
        cost = self._counter.take()
        return cost.reads, cost.writes, answer.headers["x-credence-cache"]


@pytest.fixture
async def warm(stack: Stack, project_id: str) -> AsyncIterator[Warm]:
    async with firestore_at(stack.firestore_address, project_id) as client, serve_provider("first") as provider:
        ledger = ledger_on(FirestoreLedgerStore(client), system_clock)
        await ledger.open(ADA)
        await ledger.grant_promo(ADA, 10**6, lifetime_ms=10**8, key="funds", facts={})
        upstreams = Upstreams([provider.provider])
        catalog = Catalog([TEXT_MODEL], {"first"}, FirestoreModels(client))
        router = Router(catalog, FirestoreRouteHealth(client))
        demand = Demand(FirestorePrices(client))
        calls = Calls(router, upstreams, Meter(ledger, MemoryOwedCharges()), demand=demand)
        chats = Chats(catalog, upstreams, calls, Answers(FirestoreAnswers(client), system_clock, shared=False))
        warm = Warm(chats, provider, RpcCounter(client))
        await warm.ask()
        # The second call of a process asks how its routes are.
        await warm.ask()
        yield warm
        await upstreams.close()


async def test_a_call_is_three_writes_and_no_read(warm: Warm) -> None:
    """Its demand is known already."""
    assert [await warm.ask() for _ in range(3)] == [(0, 3, "off")] * 3


async def test_a_lookup_is_one_read_and_keeping_one_write(warm: Warm) -> None:
    asked = [await warm.ask(credence_cache="use") for _ in range(3)]

    assert asked == [(1, 4, "miss"), (1, 3, "hit"), (1, 3, "hit")]
