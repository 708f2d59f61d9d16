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
    UNFIT = "request_unfit"
    """It does not serve this request, for its size, its words or its features, and serves others: no word on it."""
    UNKEYED = "no_key"
    """It was not asked, or not with a key of ours: the contributed keys that open it are used up or resting. No word on
    it either."""


class UpstreamRefused(CredenceError):
    """The provider found fault with the request itself; another provider would hardly find otherwise."""

    code = "upstream_refused"
    kind = Kind.INVALID


class UpstreamBusy(CredenceError):
    """The provider limits our rate. `tried` is what became of every route of the call, where a router knows."""

    code = "upstream_rate_limited"
    kind = Kind.BUSY
    fault = Fault.BUSY

    def __init__(self, provider: str, retry_after_ms: int | None, *, tried: str = "") -> None:
        super().__init__(f"The provider {provider} is limiting requests. Try again shortly.")
        self.provider = provider
        self.retry_after_ms = retry_after_ms
        self.tried = tried

    def details(self) -> dict[str, int | str]:
        """When the provider asked us to come back, and whom else we asked."""
        return _details(self.retry_after_ms, self.tried)


class UpstreamUnavailable(CredenceError):
    """The provider failed, did not answer, or answered what cannot be read. `tried` is as above."""

    code = "upstream_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(
        self,
        provider: str,
        what: str,
        *,
        fault: Fault = Fault.DOWN,
        retry_after_ms: int | None = None,
        tried: str = "",
    ) -> None:
        super().__init__(f"The provider {provider} {what}. Nothing was charged.")
        self.provider = provider
        self.what = what
        self.fault = fault
        self.retry_after_ms = retry_after_ms
        self.tried = tried

    def details(self) -> dict[str, int | str]:
        """When the provider asked us to come back, and whom else we asked."""
        return _details(self.retry_after_ms, self.tried)


def _details(retry_after_ms: int | None, tried: str) -> dict[str, int | str]:
    when: dict[str, int | str] = {} if retry_after_ms is None else {"retry_after_ms": retry_after_ms}
    return when | {"route": tried} if tried else when
