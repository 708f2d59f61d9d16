"""Which providers' keys may be contributed: what the catalog's terms say, unless an operator has decided otherwise."""

from typing import Protocol

from shared.catalog.terms import terms_of
from shared.resources.models import Eligibility, Override


class Overrides(Protocol):
    """What operators decided. All raise ContributionsUnavailable."""

    async def of(self, provider: str) -> Override | None:
        """The decision that holds, if there is one."""

    async def put(self, override: Override) -> None:
        """Let a decision hold, and keep it for ever. Durable once returned; a repeat changes nothing."""


async def eligibility_of(provider: str, overrides: Overrides) -> Eligibility:
    """Whether keys of a provider may be contributed, and why. Raise ContributionsUnavailable."""
    override = await overrides.of(provider)
    if override is not None:
        return Eligibility(override.allowed, override.reason)
    terms = terms_of(provider)
    return Eligibility(terms.pooling, terms.reason)
