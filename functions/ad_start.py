"""Offer the caller a rewarded ad. Called by apps before they load one; a repeat offers another, after a pause.

The app passes the nonce to AdMob as custom data, and watches the document `ad_views/{nonce}` for what comes of it.
"""

from typing import Literal

from shared.app import App
from shared.base.body import Body
from shared.web.auth import Caller
from shared.web.function import http_function


class AdStartRequest(Body, frozen=True, kw_only=True):
    """Which kind of ad; each has ad units of its own."""

    tier: Literal["text", "image", "video"]


class AdStartResponse(Body, frozen=True, kw_only=True):
    """What to pass on, what the ad earns, and how many of its kind are left for today after it."""

    nonce: str
    expires_at_ms: int
    amount_micros: int
    left_today: int


@http_function(auth="user", body=AdStartRequest, answer=AdStartResponse)
async def ad_start(body: AdStartRequest, caller: Caller, app: App) -> AdStartResponse:
    """Raise AdsAbsent or AccountAbsent (404), AdCapReached (403) or AdTooSoon (429)."""
    offer = await app.ads.start(caller.known_user().uid, body.tier)
    return AdStartResponse(
        nonce=offer.view.nonce,
        expires_at_ms=offer.view.expires_at_ms,
        amount_micros=offer.amount_micros,
        left_today=offer.left_today,
    )
