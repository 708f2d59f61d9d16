"""What this process knows of every route, told to others and heard from them now and then.

That happens while a call waits for its provider, so it costs the call nothing; never afterwards, when Cloud Run may
have stopped the processor; and at most once in SHARE_EVERY_MS for each route, so that its cost is bounded.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Concatenate, ParamSpec

from shared.base.clock import Clock
from shared.base.log import write_line
from shared.catalog.models import Route
from shared.routing import breaker, sharing
from shared.routing.models import Condition, News, Phase
from shared.routing.store import RouteHealth, RouteHealthUnavailable, Version

SHARE_EVERY_MS = 30_000
"""For each route and process: one document read, and at most one written. Shorter rests are each process's own.
The call that meets a route first leaves it to the next one: a process that has just started is slow enough."""
SHARE_GRACE_S = 0.05
"""How long a call that is over sooner than Firestore answers waits for it: once in SHARE_EVERY_MS, then no more."""

Step = ParamSpec("Step")
_UNKNOWN = Condition()


class Conditions:
    """Conditions by route; one that was never asked is fine. As many as the catalog has routes, so they stay few."""

    def __init__(self, health: RouteHealth, *, clock: Clock, wall_clock: Clock) -> None:
        self._health = health
        self._clock = clock
        self._wall_clock = wall_clock
        self._known: dict[tuple[str, str], Condition] = {}
        self._share_at_ms: dict[tuple[str, str], int] = {}
        self._sharing = False

    def __getitem__(self, route: Route) -> Condition:
        return self._known.get((route.provider, route.model), _UNKNOWN)

    def __setitem__(self, route: Route, condition: Condition) -> None:
        self._known[route.provider, route.model] = condition

    def change(
        self,
        route: Route,
        step: Callable[Concatenate[Condition, int, Step], Condition],
        *args: Step.args,
        **rest: Step.kwargs,
    ) -> None:
        """Let something have happened to a route now. Operators are told when it rests, and when it is back."""
        before, now_ms = self[route], self._clock()
        after = self[route] = step(before, now_ms, *args, **rest)
        if after.phase is Phase.OPEN and after.decided_at_ms != before.decided_at_ms:
            rest_ms = after.ready_at_ms - now_ms
            write_line(
                "WARNING", "route_rests", provider=route.provider, model=route.model, fault=after.fault, rest_ms=rest_ms
            )
        elif after.phase is Phase.CLOSED and before.phase is not Phase.CLOSED:
            write_line("INFO", "route_back", provider=route.provider, model=route.model)

    def begin_sharing(self, routes: Sequence[Route]) -> "asyncio.Task[None] | None":
        """Begin to read and tell what is due of these routes; the caller must `end_sharing`. None when nothing is."""
        now_ms = self._clock()
        due = [one for one in routes if self._share_at_ms.setdefault((one.provider, one.model), now_ms + 1) <= now_ms]
        if not due or self._sharing:
            return None
        # Whatever comes of it, the next time is then: a store that is down is not asked by every call.
        self._share_at_ms |= {(one.provider, one.model): now_ms + SHARE_EVERY_MS for one in due}
        self._sharing = True
        return asyncio.ensure_future(self._share(due))

    async def end_sharing(self, task: "asyncio.Task[None]") -> None:
        """Wait a moment for it if it is not done, then leave it."""
        try:
            await asyncio.wait([task], timeout=SHARE_GRACE_S)
        finally:
            self._sharing = False
            if not task.cancel() and (error := task.exception()) is not None:
                # A defect; the call that happened to carry it is as good as any other.
                write_line("ERROR", "route_health_failed", error=type(error).__name__)

    async def _share(self, routes: Sequence[Route]) -> None:
        try:
            known = await self._health.read(routes)
            for route in routes:
                await self._exchange(route, *known.get(sharing.document_id(route), (None, None)))
        except RouteHealthUnavailable:
            write_line("WARNING", "route_health_unavailable")

    async def _exchange(self, route: Route, known: News | None, version: Version) -> None:
        """Take over what is known of one route, and tell what is not."""
        now_ms = self._clock()
        wall_ahead_ms = self._wall_clock() - now_ms
        if known is not None:
            self[route] = breaker.after_news(self[route], known, now_ms, wall_ahead_ms=wall_ahead_ms)
        ours = sharing.news_of(route, self[route], now_ms, wall_ahead_ms=wall_ahead_ms)
        if sharing.is_worth_telling(known, ours):
            # If another process wrote meanwhile, its news stay, and ours are told the next time.
            await self._health.write(ours if known is None else sharing.merged(known, ours), version)
