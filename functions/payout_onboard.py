"""Give a recipient the page on which the payment provider asks who they are and where their money goes.

Called by apps; a repeat answers the same account with a new page, for each is good for a few minutes.
"""

from shared.app import App
from shared.base.body import Body
from shared.payouts.shapes import CountryText
from shared.web.auth import Caller
from shared.web.function import http_function


class PayoutOnboardRequest(Body, frozen=True, kw_only=True):
    """Where the recipient lives; needed the first time, and not read after it."""

    country: CountryText | None = None


class PayoutOnboardResponse(Body, frozen=True, kw_only=True):
    """Where to send them. `is_active` is what was known before they went there."""

    url: str
    is_active: bool


@http_function(auth="user_now", body=PayoutOnboardRequest, answer=PayoutOnboardResponse, imports_ahead="aiohttp")
async def payout_onboard(body: PayoutOnboardRequest, caller: Caller, app: App) -> PayoutOnboardResponse:
    """Raise PayoutsNotOffered (404), SignInNeeded (403), PayoutRefused, RailRefused (409), or RailUnavailable (503)."""
    recipient, url = await app.recipients.onboard(caller.signed_in_user().uid, body.country)
    return PayoutOnboardResponse(url=url, is_active=recipient.is_active)
