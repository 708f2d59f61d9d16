"""What goes wrong at a provider. Messages never carry a provider's own words about our keys or accounts."""

from shared.base.errors import CredenceError, Kind


class UpstreamRefused(CredenceError):
    """The provider found fault with the request itself; another provider would hardly find otherwise."""

    code = "upstream_refused"
    kind = Kind.INVALID


class _MayPass:
    """What a failure that may pass tells beside its message."""

    retry_after_ms: int | None

    def details(self) -> dict[str, int | str]:
        """When the provider asked us to come back."""
        return {} if self.retry_after_ms is None else {"retry_after_ms": self.retry_after_ms}


class UpstreamBusy(_MayPass, CredenceError):
    """The provider limits our rate."""

    code = "upstream_rate_limited"
    kind = Kind.BUSY

    def __init__(self, provider: str, retry_after_ms: int | None) -> None:
        super().__init__(f"The provider {provider} is limiting requests. Try again shortly.")
        self.retry_after_ms = retry_after_ms


class UpstreamUnavailable(_MayPass, CredenceError):
    """The provider failed, did not answer, or answered what cannot be read."""

    code = "upstream_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(self, provider: str, what: str, *, retry_after_ms: int | None = None) -> None:
        super().__init__(f"The provider {provider} {what}. Nothing was charged.")
        self.retry_after_ms = retry_after_ms
