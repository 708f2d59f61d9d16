"""Let keys of a provider be contributed although its terms are not known to allow it, or end that. Called by operators.

Who decided, when and why stays on the record. Ending it stops all keys of the provider; a repeat stops what is left.
"""

from shared.app import App
from shared.base.body import Body, ShortText
from shared.resources.shapes import ProviderName
from shared.web.auth import Caller
from shared.web.function import http_function


class ProviderAllowRequest(Body, frozen=True, kw_only=True):
    """What is decided about which provider, and why: owners who are refused are told the reason."""

    provider: ProviderName
    allowed: bool
    reason: ShortText


class ProviderAllowResponse(Body, frozen=True, kw_only=True):
    """The decision that holds now, and how many keys it has stopped."""

    provider: str
    allowed: bool
    reason: str
    stopped: int


@http_function(
    auth="service",
    scope="pool:operate",
    body=ProviderAllowRequest,
    path_param="provider",
    path_suffix="/pooling",
    answer=ProviderAllowResponse,
)
async def provider_allow(body: ProviderAllowRequest, caller: Caller, app: App) -> ProviderAllowResponse:
    """Raise ContributionsUnavailable (503) or ContributionBusy (429)."""
    stopped = await app.key_care.decide(body.provider, allowed=body.allowed, reason=body.reason, by=caller.name)
    return ProviderAllowResponse(provider=body.provider, allowed=body.allowed, reason=body.reason, stopped=stopped)
