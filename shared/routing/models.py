"""What is known of a route, what a caller prefers, and what became of each attempt."""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from shared.catalog.models import Route
from shared.providers.errors import Fault


class Sort(StrEnum):
    """In which order routes are asked."""

    CATALOG = "catalog"
    """The catalog's, in which one that fails stands back as often as it fails."""
    CHEAPEST = "cheapest"
    """What the provider asks of us; our own price is the same on every route."""
    FASTEST = "fastest"
    """The time until an answer begins."""
    BEST = "best"
    """The share of calls that are answered, then the time until an answer begins."""


class Preference(Struct, frozen=True):
    """What a caller wants of the choice. Providers in `only` are asked in that order, and no others."""

    sort: Sort = Sort.CATALOG
    only: tuple[str, ...] = ()


NO_PREFERENCE = Preference()


class Phase(StrEnum):
    """Of a circuit breaker."""

    CLOSED = "closed"
    """Calls pass."""
    OPEN = "open"
    """The route rests. From `ready_at_ms` on, one call may probe it."""
    PROBING = "probing"
    """One call is trying it; the others wait for what comes of that."""


class Slot(Struct, frozen=True):
    """What happened in one slice of the last minute."""

    number: int
    answered: int
    failed: int


class Condition(Struct, frozen=True):
    """What this process knows of one route. Times are of its monotonic clock."""

    phase: Phase = Phase.CLOSED
    fault: Fault | None = None
    """Why it rests."""
    ready_at_ms: int = 0
    """When the rest is over."""
    rest_ms: int = 0
    """How long the last rest was; the next after a failed probe is twice as long."""
    decided_at_ms: int | None = None
    """When it last opened or closed."""
    window: tuple[Slot, ...] = ()
    answered_at_ms: int | None = None
    first_byte_ms: int | None = None
    """The usual time until an answer begins, weighted towards the last ones."""
    heard_ppm: int = 1_000_000
    """The share of calls that others saw answered."""
    heard_at_ms: int | None = None


class News(Struct, frozen=True):
    """What processes tell each other about one route. Times are of the wall clock."""

    provider: str
    model: str
    resting: bool
    fault: Fault | None
    ready_at_ms: int
    decided_at_ms: int
    """When it last opened or closed; 0 for never."""
    answered_ppm: int
    """The share of calls that were answered in the minute before `told_at_ms`."""
    first_byte_ms: int | None
    told_at_ms: int


class Attempt(Struct, frozen=True):
    """What became of one route in one call. `why` is a fault, `answered`, or `resting` when it was not asked at all."""

    provider: str
    why: str


ANSWERED = "answered"
RESTING = "resting"


class Trail(Struct, frozen=True):
    """Every route that was looked at in one call, in order."""

    attempts: tuple[Attempt, ...]

    @property
    def asked(self) -> int:
        """How many requests went out."""
        return sum(attempt.why != RESTING for attempt in self.attempts)

    def __str__(self) -> str:
        return ", ".join(f"{attempt.provider}={attempt.why}" for attempt in self.attempts)

    def headers(self, route: Route) -> Mapping[str, str]:
        """What the client is told when `route` answered."""
        return {
            "x-credence-provider": route.provider,
            "x-credence-route": str(self),
            "x-credence-attempts": str(self.asked),
        }

    def facts(self, route: Route) -> dict[str, str | int]:
        """What the receipt says when `route` answered."""
        return {"provider": route.provider, "upstream_model": route.model, "attempts": self.asked}
