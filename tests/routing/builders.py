"""Models with routes, a scripted way to ask them, and a router in a time of its own."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from shared.catalog.models import Model, Route
from shared.catalog.service import Catalog
from shared.providers.errors import Fault, UpstreamBusy, UpstreamUnavailable
from shared.routing.service import Router
from tests.chat.builders import model_of
from tests.routing.memory import MemoryRouteHealth

ONE = model_of(id="maker/one", providers=("first",))
TWO = model_of(id="maker/two", providers=("first", "second"))
MANY = model_of(id="maker/many", providers=("first", "second", "third", "fourth", "fifth"))
PROVIDERS = frozenset({"first", "second", "third", "fourth", "fifth"})
FIRST = Route(provider="first", model="first/model")
SECOND = Route(provider="second", model="second/model")
Reply = str | Exception | Callable[[], Awaitable[str]]


def busy(provider: str = "first", retry_after_ms: int | None = None) -> UpstreamBusy:
    return UpstreamBusy(provider, retry_after_ms)


def down(provider: str = "first", fault: Fault = Fault.DOWN, retry_after_ms: int | None = None) -> UpstreamUnavailable:
    return UpstreamUnavailable(provider, "failed", fault=fault, retry_after_ms=retry_after_ms)


@dataclass
class Time:
    """A clock that only sleeping moves, or a test."""

    now_ms: int = 1_000_000
    slept_ms: list[int] = field(default_factory=list)

    def __call__(self) -> int:
        return self.now_ms

    async def sleep(self, seconds: float) -> None:
        self.slept_ms.append(round(seconds * 1000))
        self.now_ms += round(seconds * 1000)
        await asyncio.sleep(0)


@dataclass
class Desk:
    """A router over scripted providers. A provider without a script answers with its name."""

    time: Time = field(default_factory=Time)
    health: MemoryRouteHealth = field(default_factory=MemoryRouteHealth)
    replies: dict[str, deque[Reply]] = field(default_factory=lambda: defaultdict(deque))
    asked: list[str] = field(default_factory=list)
    takes_ms: dict[str, int] = field(default_factory=dict)
    ahead_ms: int = 1_700_000_000_000

    def __post_init__(self) -> None:
        self.router = Router(
            Catalog([ONE, TWO, MANY], PROVIDERS),
            self.health,
            clock=self.time,
            wall_clock=lambda: self.time.now_ms + self.ahead_ms,
            sleep=self.time.sleep,
        )

    async def ask(self, route: Route, timeout_s: float) -> str:
        assert timeout_s > 0
        self.asked.append(route.provider)
        self.time.now_ms += self.takes_ms.get(route.provider, 0)
        reply = self.replies[route.provider].popleft() if self.replies[route.provider] else route.provider
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, str) else await reply()

    async def call(self, model: Model = ONE, *, timeout_s: float = 280.0, **rest: Any) -> Any:
        """One call, closed as a caller should."""
        routed = await self.router.first_answer(model, self.ask, timeout_s=timeout_s, **rest)
        await routed.close()
        return routed
