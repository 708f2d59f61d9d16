"""Pay for a rewarded ad. Called by AdMob's server-side verification; a repeat pays nothing more and answers the same.

Anybody may call it: what counts is Google's signature. AdMob sends a callback again unless it is answered with 200.
"""

from typing import Annotated, Literal

from msgspec import Meta

from shared.ads.rules import QUERY_CHARS_MAX
from shared.app import App
from shared.base.body import Body
from shared.web.auth import Caller
from shared.web.function import http_function


class AdRewardRequest(Body, frozen=True, kw_only=True):
    """The query as AdMob signed it."""

    query: Annotated[str, Meta(max_length=QUERY_CHARS_MAX)]


class AdRewardResponse(Body, frozen=True, kw_only=True):
    """`tried` is AdMob's dashboard trying the address; what is refused says why."""

    status: Literal["granted", "refused", "tried"]
    refusal: str | None


@http_function(auth="none", method="GET", body=AdRewardRequest, raw_query="query", answer=AdRewardResponse)
async def ad_reward(body: AdRewardRequest, caller: Caller, app: App) -> AdRewardResponse:
    """Raise CallbackForged or AdUnitUnknown (403), CallbackMalformed or CallbackStale (400), AdsAbsent (404)."""
    outcome = await app.ads.reward(body.query)
    return AdRewardResponse(status=outcome.status.value, refusal=outcome.refusal.value if outcome.refusal else None)
