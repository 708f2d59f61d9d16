"""News of routes in memory, and the promises that both stores keep."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from shared.catalog.models import Route
from shared.routing.models import News
from shared.routing.sharing import document_id
from shared.routing.store import RouteHealthUnavailable, Version

BEGUN = datetime(2026, 11, 25, tzinfo=UTC)


class MemoryRouteHealth:
    """What Firestore keeps, in a dictionary. `down` makes it answer nothing, `slow_s` late."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[News, datetime]] = {}
        self.down = False
        self.slow_s = 0.0
        self.reads = 0
        self.writes = 0

    async def read(self, routes: Iterable[Route]) -> Mapping[str, tuple[News | None, Version]]:
        names = [document_id(route) for route in routes]
        self.reads += len(names)
        await asyncio.sleep(self.slow_s)
        if self.down:
            raise RouteHealthUnavailable
        return {name: self.kept.get(name, (None, None)) for name in names}

    async def write(self, news: News, version: Version) -> bool:
        if self.down:
            raise RouteHealthUnavailable
        name = document_id(Route(provider=news.provider, model=news.model))
        if version != self.kept.get(name, (None, None))[1]:
            return False
        self.writes += 1
        self.kept[name] = (news, BEGUN + timedelta(seconds=self.writes))
        return True


class SkippedTime:
    """A clock that goes with the machine's, and a sleep that takes no time but moves it on."""

    def __init__(self) -> None:
        self.slept_s: list[float] = []

    def __call__(self) -> int:
        return round((asyncio.get_running_loop().time() + sum(self.slept_s)) * 1000)

    async def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        await asyncio.sleep(0)
