"""What every store of news promises, Firestore's and the one in memory alike."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from google.cloud import firestore
from msgspec.structs import replace

from local.stack import Stack
from shared.catalog.models import Route
from shared.catalog.service import Catalog
from shared.providers.errors import Fault
from shared.routing.conditions import SHARE_EVERY_MS
from shared.routing.models import News, Phase
from shared.routing.service import Router
from shared.routing.sharing import document_id
from shared.routing.store import FirestoreRouteHealth, RouteHealth, RouteHealthUnavailable
from tests.database import firestore_at
from tests.routing.builders import FIRST, PROVIDERS, SECOND, TWO, Desk, busy
from tests.routing.memory import MemoryRouteHealth

SLASHED = Route(provider="acme", model="maker/model:free")
NEWS = News("acme", "maker/model:free", True, Fault.BUSY, 1_700_000_060_000, 1_700_000_000_000, 500_000, None, 1)


class RouteHealthContract:
    """Subclassed once per store; `health` is empty at first."""

    async def test_what_was_never_told_is_absent(self, health: RouteHealth) -> None:
        read = await health.read([FIRST, SECOND])

        assert dict(read) == {document_id(FIRST): (None, None), document_id(SECOND): (None, None)}

    async def test_what_was_told_is_read_as_it_was(self, health: RouteHealth) -> None:
        for news in (NEWS, replace(NEWS, model="other", fault=None, resting=False, first_byte_ms=7)):
            assert await health.write(news, None)
            route = Route(provider=news.provider, model=news.model)
            assert (await health.read([route]))[document_id(route)][0] == news

    async def test_of_two_that_read_the_same_one_writes(self, health: RouteHealth) -> None:
        """The other reads again before it tells."""
        assert await health.write(NEWS, None)
        assert not await health.write(replace(NEWS, answered_ppm=1), None)
        _, version = (await health.read([SLASHED]))[document_id(SLASHED)]

        assert await health.write(replace(NEWS, answered_ppm=2), version)
        assert not await health.write(replace(NEWS, answered_ppm=3), version)

        news, _ = (await health.read([SLASHED]))[document_id(SLASHED)]
        assert news == replace(NEWS, answered_ppm=2)


class TestMemoryRouteHealth(RouteHealthContract):
    """The fake."""

    @pytest.fixture
    def health(self) -> RouteHealth:
        return MemoryRouteHealth()


@pytest.fixture
async def client(stack: Stack, project_id: str) -> AsyncIterator[firestore.AsyncClient]:
    """The emulator, in a project of its own."""
    async with firestore_at(stack.firestore_address, project_id) as client:
        yield client


class TestFirestoreRouteHealth(RouteHealthContract):
    """The real one, on the emulator."""

    @pytest.fixture
    def health(self, client: firestore.AsyncClient) -> RouteHealth:
        return FirestoreRouteHealth(client)

    async def test_a_document_that_is_no_news_counts_as_none(self, client: firestore.AsyncClient) -> None:
        """And is replaced by the next news."""
        await client.collection("route_health").document(document_id(SLASHED)).set({"resting": "yes"})
        health = FirestoreRouteHealth(client)

        news, version = (await health.read([SLASHED]))[document_id(SLASHED)]

        assert news is None
        assert await health.write(NEWS, version)
        assert (await health.read([SLASHED]))[document_id(SLASHED)][0] == NEWS

    async def test_nobody_there_is_said(self) -> None:
        async with firestore_at("127.0.0.1:1", "demo-nobody") as nowhere:
            with pytest.raises(RouteHealthUnavailable):
                await FirestoreRouteHealth(nowhere).read([FIRST])
            with pytest.raises(RouteHealthUnavailable):
                await FirestoreRouteHealth(nowhere).write(NEWS, None)

    async def test_two_routers_share_a_rest(self, client: firestore.AsyncClient) -> None:
        """The one that ran into it tells, the other does not run into it."""
        one = Desk()
        one.router = _router(client, one)
        one.replies["first"].append(busy(retry_after_ms=200_000))
        await one.call(TWO)
        one.time.now_ms += SHARE_EVERY_MS
        one.replies["second"].append(_slowly)
        await one.call(TWO)
        other = Desk(time=one.time)
        other.router = _router(client, other)
        await other.call(TWO)
        other.time.now_ms += 1
        other.replies["first"].append(_slowly)

        await other.call(TWO)

        assert other.router.condition(FIRST).phase is Phase.OPEN
        assert (await other.call(TWO)).answer == "second"


async def _slowly() -> str:
    """An answer that takes longer than Firestore."""
    await asyncio.sleep(0.5)
    return "slow"


def _router(client: firestore.AsyncClient, desk: Desk) -> Router:
    return Router(
        Catalog([TWO], PROVIDERS),
        FirestoreRouteHealth(client),
        clock=desk.time,
        wall_clock=lambda: desk.time.now_ms + desk.ahead_ms,
    )
