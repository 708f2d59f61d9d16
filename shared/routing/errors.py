"""Why no route answered."""

from collections.abc import Iterable

from shared.base.errors import CredenceError, Kind
from shared.providers.errors import Fault, UpstreamBusy, UpstreamUnavailable
from shared.routing.models import Trail


class PreferenceUnknown(CredenceError):
    """The caller's preference cannot be read."""

    code = "invalid_route_preference"
    kind = Kind.INVALID

    def __init__(self) -> None:
        super().__init__(
            "x-credence-route is cheapest, fastest, best, or a list of providers with commas between.",
            param="x-credence-route",
        )


class RouteAbsent(CredenceError):
    """No provider that the caller allows serves the model with what the request needs."""

    code = "route_not_found"
    kind = Kind.INVALID

    def __init__(self, model_id: str, providers: Iterable[str], needs: Iterable[str]) -> None:
        needed = " and ".join(sorted(needs))
        super().__init__(
            f"None of the providers asked for serves {model_id!r}{' with ' + needed if needed else ''} here. "
            f"These serve it: {', '.join(providers) or 'none'}.",
            param="x-credence-route",
        )


class RoutesBusy(UpstreamBusy):
    """Every route was tried or rests, and the last one limits our rate. `retry_after_ms` is when the first is back."""

    def __init__(self, provider: str, retry_after_ms: int, trail: Trail) -> None:
        super().__init__(provider, retry_after_ms)
        self.trail = trail

    def details(self) -> dict[str, int | str]:
        """When to come back, and what was tried."""
        return {**super().details(), "route": str(self.trail)}


class RoutesUnavailable(UpstreamUnavailable):
    """Every route was tried or rests, and the last one failed. `retry_after_ms` is when the first may be back."""

    def __init__(self, provider: str, what: str, *, fault: Fault, retry_after_ms: int | None, trail: Trail) -> None:
        super().__init__(provider, what, fault=fault, retry_after_ms=retry_after_ms)
        self.trail = trail

    def details(self) -> dict[str, int | str]:
        """When to come back, and what was tried."""
        return {**super().details(), "route": str(self.trail)}
