"""Why no route is asked. When all that were asked failed, the provider's own error says so, and what was tried."""

from collections.abc import Iterable

from shared.base.errors import CredenceError, Kind


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
