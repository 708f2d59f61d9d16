"""Which key opens a provider for a call: the seam between calling providers and owning keys."""

from typing import Protocol

from shared.base.secret import Secret
from shared.providers.errors import Fault, UpstreamUnavailable
from shared.providers.models import Provider


class Credentials(Protocol):
    """Chooses a key. It is sent to the provider's own address and nowhere else."""

    async def for_call(self, provider: Provider, model: str) -> Secret:
        """A key for one call of `model`, the provider's own name for it. Raise UpstreamUnavailable if there is none."""
        ...


class ConfiguredCredentials:
    """The key that the provider is configured with."""

    async def for_call(self, provider: Provider, model: str) -> Secret:
        """Always the same. Raise UpstreamUnavailable where only contributed keys open the provider: none was lent."""
        if provider.lent_only:
            raise UpstreamUnavailable(
                provider.name, "cannot be asked: no key is left at the moment", fault=Fault.UNKEYED
            )
        return provider.key
