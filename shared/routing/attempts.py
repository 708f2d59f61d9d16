"""The attempts of one call: who is asked next, how long that is waited for, and what is said when nobody answered."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from shared.catalog.models import Route
from shared.providers.errors import Fault, UpstreamBusy, UpstreamRefused, UpstreamUnavailable
from shared.routing import breaker, rules
from shared.routing.models import ANSWERED, RESTING, Attempt, Condition, Trail

AGAIN_MS = 1_000
"""When to try again, as far as a route that may be asked at any time is concerned, or one that is being probed."""


class Limits(Struct, frozen=True):
    """What one call may take, all inside its one hold."""

    routes_max: int = 3
    """Routes that are asked."""
    attempts_max: int = 4
    """Requests that are sent."""
    tries_max: int = 2
    """Of them to one route. OpenAI's clients send a failed request twice more by themselves, each time anew."""
    waits_ms_max: int = 6_000
    """Spent waiting in all: a little more than a first rest."""
    repeat_within_ms: int = 30_000
    """A route that fails later than this into the call is not asked again: it would fail as slowly."""
    probe_poll_ms: int = 250
    """How often a call looks whether another one's probe has come to something."""


LIMITS = Limits()


class Known(Protocol):
    """What is known of each route."""

    def __getitem__(self, route: Route) -> Condition: ...


class Attempts:
    """Of one call, over its routes in the order of preference. Conditions are read anew each time: others change them.

    A route that failed is left for the rest of the call as soon as another can be asked. Only the last that can be is
    asked again, when it is likely to have passed.
    """

    def __init__(self, routes: Sequence[Route], limits: Limits, *, begun_at_ms: int, seed: int) -> None:
        self._routes = routes
        self._left = list(routes)
        self._limits = limits
        self._begun_at_ms = begun_at_ms
        self._seed = seed
        self._tries: dict[Route, int] = {}
        self._again_at_ms: dict[Route, int] = {}
        self._waited_ms = 0
        self._trail: list[Attempt] = []
        self._error: UpstreamBusy | UpstreamUnavailable | None = None

    def wait_ms(self, conditions: Known, now_ms: int) -> int | None:
        """How long until a route can be asked: 0 for now, None for not in this call."""
        if sum(self._tries.values()) >= self._limits.attempts_max:
            return None
        waits = [self._wait_of(route, conditions[route], now_ms) for route in self._left]
        wait_ms = min((wait for wait in waits if wait is not None), default=None)
        if wait_ms is None or self._waited_ms + wait_ms > self._limits.waits_ms_max:
            return None
        return wait_ms

    def waited(self, wait_ms: int) -> None:
        """Count a wait against all that this call may wait."""
        self._waited_ms += wait_ms

    def next_route(self, conditions: Known, now_ms: int) -> Route:
        """The first that can be asked now; there is one when `wait_ms` is 0."""
        for route in self._left:
            if self._wait_of(route, conditions[route], now_ms) == 0:
                self._tries[route] = self._tries.get(route, 0) + 1
                return route
            self._note_resting(route)
        raise LookupError("no route can be asked now")

    def failed(
        self,
        route: Route,
        error: UpstreamBusy | UpstreamUnavailable,
        conditions: Known,
        now_ms: int,
    ) -> None:
        """Take note of a failure, and leave the route, or plan to ask it again."""
        self._error = error
        self._trail.append(Attempt(route.provider, error.fault.value))
        another = any(self._wait_of(other, conditions[other], now_ms) == 0 for other in self._left if other != route)
        tries = self._tries[route]
        late = now_ms - self._begun_at_ms > self._limits.repeat_within_ms
        if another or late or tries >= self._limits.tries_max or error.fault not in rules.REPEATED:
            self._left.remove(route)
            return
        wait_ms = rules.backoff_ms(tries, self._seed) if error.retry_after_ms is None else error.retry_after_ms
        self._again_at_ms[route] = now_ms + wait_ms

    def answered(self, route: Route) -> Trail:
        """The whole way, when `route` answered."""
        return Trail((*self._trail, Attempt(route.provider, ANSWERED)))

    def refusal(self, conditions: Known, now_ms: int) -> UpstreamBusy | UpstreamUnavailable | UpstreamRefused:
        """What to say when nobody answered: why the last one did not, and when the first may."""
        for route in self._left:
            self._note_resting(route)
        tried = str(Trail(tuple(self._trail)))
        soonest = min(self._routes, key=lambda route: _again_in_ms(conditions[route], now_ms))
        again_ms = _again_in_ms(conditions[soonest], now_ms)
        match self._error:
            case UpstreamBusy(provider=provider):
                return UpstreamBusy(provider, again_ms, tried=tried)
            case UpstreamUnavailable(fault=Fault.UNFIT):
                return UpstreamRefused(self._error.message)
            case UpstreamUnavailable(provider=provider, what=what, fault=fault):
                return UpstreamUnavailable(provider, what, fault=fault, retry_after_ms=again_ms, tried=tried)
        fault = conditions[soonest].fault or Fault.DOWN
        if fault is Fault.BUSY:
            return UpstreamBusy(soonest.provider, again_ms, tried=tried)
        what = "did not answer others just now and is given a rest"
        return UpstreamUnavailable(soonest.provider, what, fault=fault, retry_after_ms=again_ms, tried=tried)

    def _wait_of(self, route: Route, condition: Condition, now_ms: int) -> int | None:
        """Until the route can be asked; None when it is one too many."""
        if route not in self._tries and len(self._tries) >= self._limits.routes_max:
            return None
        ready_at_ms = breaker.ready_at_ms(condition, now_ms)
        if ready_at_ms is None:
            return self._limits.probe_poll_ms + rules.jitter_ms(self._seed)
        rest_ms = ready_at_ms - now_ms
        if rest_ms > 0:
            rest_ms += rules.jitter_ms(self._seed)
        return max(0, rest_ms, self._again_at_ms.get(route, 0) - now_ms)

    def _note_resting(self, route: Route) -> None:
        resting = Attempt(route.provider, RESTING)
        if route not in self._tries and resting not in self._trail:
            self._trail.append(resting)


def _again_in_ms(condition: Condition, now_ms: int) -> int:
    ready_at_ms = breaker.ready_at_ms(condition, now_ms)
    return AGAIN_MS if not ready_at_ms else max(breaker.REST_MS_MIN, ready_at_ms - now_ms)
