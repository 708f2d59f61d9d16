"""The choice among the routes of a model, and the attempts of one call. Asks whatever it is given; knows no wire."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping, Set
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from shared.base.clock import Clock, monotonic_clock, system_clock
from shared.catalog.models import Model, Route
from shared.catalog.service import Catalog
from shared.providers.errors import UpstreamBusy, UpstreamUnavailable
from shared.routing import breaker, rules
from shared.routing.attempts import LIMITS, Attempts, Limits
from shared.routing.conditions import Conditions
from shared.routing.models import NO_PREFERENCE, Condition, Preference, Trail
from shared.routing.store import RouteHealth

T = TypeVar("T")
Answer = TypeVar("Answer", covariant=True)


class Ask(Protocol[Answer]):
    """How to ask one route. Raises what the provider did; only UpstreamBusy and UpstreamUnavailable are its faults."""

    async def __call__(self, route: Route, timeout_s: float) -> Answer: ...


class Routed(Generic[T]):
    """An answer, the route it came from, and what was tried before. Whoever got it must `close` it in the end."""

    def __init__(
        self, conditions: Conditions, route: Route, answer: T, trail: Trail, sharing: "asyncio.Task[None] | None"
    ) -> None:
        self._conditions = conditions
        self._sharing = sharing
        self.route = route
        self.answer = answer
        self.headers: Mapping[str, str] = trail.headers(route)
        self.facts: dict[str, str | int] = trail.facts(route)

    def broke_off(self) -> None:
        """Say that the answer failed after it had begun. It is never asked again, but its route is the worse for it."""
        self._conditions.change(self.route, breaker.after_break)

    async def close(self) -> None:
        """End what was begun beside the call, before its response is finished. Raises nothing."""
        if self._sharing is not None:
            await self._conditions.end_sharing(self._sharing)


class Router:
    """Finds who answers. One per process, for it learns; belongs to one event loop."""

    def __init__(
        self,
        catalog: Catalog,
        health: RouteHealth,
        *,
        clock: Clock = monotonic_clock,
        wall_clock: Clock = system_clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        limits: Limits = LIMITS,
        seed: int = 0,
    ) -> None:
        self._catalog = catalog
        self._conditions = Conditions(health, clock=clock, wall_clock=wall_clock)
        self._clock = clock
        self._sleep = sleep
        self._limits = limits
        self._seeds = itertools.count(seed)

    def condition(self, route: Route) -> Condition:
        """What is known of a route now."""
        return self._conditions[route]

    def check(self, model: Model, *, preference: Preference = NO_PREFERENCE, needs: Set[str] = frozenset()) -> None:
        """Raise RouteAbsent for what `first_answer` could not even try, before anything is held for it."""
        rules.eligible(model, self._catalog.routes(model), preference, needs)

    async def first_answer(
        self,
        model: Model,
        ask: Ask[T],
        *,
        timeout_s: float,
        preference: Preference = NO_PREFERENCE,
        needs: Set[str] = frozenset(),
        times_first_byte: bool = False,
    ) -> Routed[T]:
        """The first answer that one of the model's routes gives or begins; one that has begun is never left.

        `needs` names capabilities that the request uses. `times_first_byte` says that `ask` returns when the answer
        begins and not when it ends, so that its time can be learned. Raise RouteAbsent, UpstreamBusy or
        UpstreamUnavailable for the last route that failed, or what `ask` raised about the request itself.
        """
        routes = rules.eligible(model, self._catalog.routes(model), preference, needs)
        sharing = self._conditions.begin_sharing(routes)
        try:
            route, answer, trail = await self._attempt(
                routes, ask, preference, round(timeout_s * 1000), times_first_byte
            )
        except BaseException:
            if sharing is not None:
                await self._conditions.end_sharing(sharing)
            raise
        return Routed(self._conditions, route, answer, trail, sharing)

    async def _attempt(
        self, routes: list[Route], ask: Ask[T], preference: Preference, timeout_ms: int, times_first_byte: bool
    ) -> tuple[Route, T, Trail]:
        begun_at_ms = self._clock()
        seed = rules.draw(next(self._seeds), 0)
        conditions = [self._conditions[route] for route in routes]
        order = rules.ordered(routes, conditions, preference, now_ms=begun_at_ms, seed=seed)
        attempts = Attempts([routes[place] for place in order], self._limits, begun_at_ms=begun_at_ms, seed=seed)
        while (left_ms := begun_at_ms + timeout_ms - self._clock()) > 0:
            wait_ms = attempts.wait_ms(self._conditions, self._clock())
            if wait_ms is None:
                break
            if wait_ms:
                attempts.waited(wait_ms)
                await self._sleep(min(wait_ms, left_ms) / 1000)
                continue
            route = attempts.next_route(self._conditions, self._clock())
            try:
                with _Verdict(self._conditions, self._clock, route, times_first_byte) as verdict:
                    answer = await ask(route, left_ms / 1000)
                    verdict.answered()
            except (UpstreamBusy, UpstreamUnavailable) as error:
                attempts.failed(route, error, self._conditions, self._clock())
            else:
                return route, answer, attempts.answered(route)
        raise attempts.refusal(self._conditions, self._clock())


class _Verdict:
    """What one attempt says of its route. Without a word, because the client left or its request was at fault, nothing.

    However it ends, a probe's place is given back.
    """

    def __init__(self, conditions: Conditions, clock: Clock, route: Route, times_first_byte: bool) -> None:
        self._conditions = conditions
        self._clock = clock
        self._route = route
        self._times_first_byte = times_first_byte
        self._begun_at_ms = clock()
        conditions[route], self._probe = breaker.after_admission(conditions[route], self._begun_at_ms)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, UpstreamBusy | UpstreamUnavailable) and error.fault not in rules.SAYS_NOTHING:
            self._conditions.change(
                self._route, breaker.after_fault, error.fault, probe=self._probe, retry_after_ms=error.retry_after_ms
            )
        elif error is not None:
            self._conditions.change(self._route, breaker.after_nothing, probe=self._probe)

    def answered(self) -> None:
        first_byte_ms = self._clock() - self._begun_at_ms if self._times_first_byte else None
        self._conditions.change(self._route, breaker.after_answer, probe=self._probe, first_byte_ms=first_byte_ms)
