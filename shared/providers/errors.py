"""What goes wrong at a provider. Messages never carry a provider's own words about our keys or accounts."""

from enum import StrEnum

from shared.base.errors import CredenceError, Kind


class Fault(StrEnum):
    """What kept a provider from answering, as far as it decides whom to ask next, and when to ask this one again."""

    BUSY = "rate_limited"
    """It limits our rate."""
    DENIED = "denied"
    """It does not serve this to our account, or has no such model for us."""
    DOWN = "failed"
    """It failed, did not answer in time, or answered what cannot be read."""
    KEY = "key_refused"
    """It does not know our key: nothing will work until a person has mended that."""


class UpstreamRefused(CredenceError):
    """The provider found fault with the request itself; another provider would hardly find otherwise."""

    code = "upstream_refused"
    kind = Kind.INVALID


class _RetryableFailure(CredenceError):
    """A failure that may pass."""

    def __init__(self, message: str, *, provider: str, fault: Fault, retry_after_ms: int | None) -> None:
        super().__init__(message)
        self.provider = provider
        self.fault = fault
        self.retry_after_ms = retry_after_ms

    def details(self) -> dict[str, int | str]:
        """When the provider asked us to come back."""
        return {} if self.retry_after_ms is None else {"retry_after_ms": self.retry_after_ms}


class UpstreamBusy(_RetryableFailure):
    """The provider limits our rate."""

    code = "upstream_rate_limited"
    kind = Kind.BUSY

    def __init__(self, provider: str, retry_after_ms: int | None) -> None:
        message = f"The provider {provider} is limiting requests. Try again shortly."
        super().__init__(message, provider=provider, fault=Fault.BUSY, retry_after_ms=retry_after_ms)


class UpstreamUnavailable(_RetryableFailure):
    """The provider failed, did not answer, or answered what cannot be read."""

    code = "upstream_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(
        self, provider: str, what: str, *, fault: Fault = Fault.DOWN, retry_after_ms: int | None = None
    ) -> None:
        message = f"The provider {provider} {what}. Nothing was charged."
        super().__init__(message, provider=provider, fault=fault, retry_after_ms=retry_after_ms)
        self.what = what
