"""Tell what the caller has earned, settled and pending apart. Called by apps; reads only."""

from shared.app import App
from shared.base.body import Body, Empty
from shared.base.ids import AccountId
from shared.ledger.models import Origin
from shared.web.auth import Caller
from shared.web.function import http_function


class EarningGetResponse(Body, frozen=True, kw_only=True):
    """Micros. Earnings from promotional credits can be spent and not paid out."""

    account_id: str
    settled_paid_micros: int
    settled_promo_micros: int
    pending_paid_micros: int
    pending_promo_micros: int
    pending_is_whole: bool
    """False when there are more pending sales than are counted for one answer."""


@http_function(auth="user", method="GET", answer=EarningGetResponse)
async def earning_get(body: Empty, caller: Caller, app: App) -> EarningGetResponse:
    """Pending sales become settled some minutes later; who never sold anything has earned nothing."""
    account_id = AccountId(f"earn:{caller.known_user().uid}")
    earned = await app.earnings.of(account_id)
    return EarningGetResponse(
        account_id=account_id,
        settled_paid_micros=earned.settled[Origin.PAID],
        settled_promo_micros=earned.settled[Origin.PROMO],
        pending_paid_micros=earned.pending[Origin.PAID],
        pending_promo_micros=earned.pending[Origin.PROMO],
        pending_is_whole=earned.pending_is_whole,
    )
