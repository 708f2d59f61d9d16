"""Move expired credits out of their owners' accounts. Called by Cloud Scheduler; a repeat finds what is left."""

from shared.app import App
from shared.base.body import Body, Empty
from shared.web.auth import Caller
from shared.web.function import http_function


class CreditExpireResponse(Body, frozen=True, kw_only=True):
    """What this run did. `finished` is false when more accounts than one run takes had expired credits."""

    expired: int
    waiting: int
    finished: bool


@http_function(auth="service", scope="timer", answer=CreditExpireResponse)
async def credit_expire(body: Empty, caller: Caller, app: App) -> CreditExpireResponse:
    """Accounts whose calls under way may still pay with what expired wait for the next run."""
    report = await app.expiry.run()
    return CreditExpireResponse(expired=report.expired, waiting=report.waiting, finished=report.finished)
