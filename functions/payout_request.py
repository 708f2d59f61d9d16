"""Ask for earnings to be paid out. Called by apps; a repeat with the same key answers the same payout."""

from shared.app import App
from shared.base.body import AmountMicros, Body, IdempotencyKey
from shared.payouts.shapes import PayoutView, view_of
from shared.web.auth import Caller
from shared.web.function import http_function


class PayoutRequestRequest(Body, frozen=True, kw_only=True):
    """How many credits, at most. Fewer are taken when they do not come to whole cents."""

    amount_micros: AmountMicros
    idempotency_key: IdempotencyKey


class PayoutRequestResponse(Body, frozen=True, kw_only=True):
    """The payout. It goes on by itself; watch `payouts/{payout_id}` or GET it."""

    payout: PayoutView


@http_function(auth="user_now", body=PayoutRequestRequest, answer=PayoutRequestResponse, imports_ahead="aiohttp")
async def payout_request(body: PayoutRequestRequest, caller: Caller, app: App) -> PayoutRequestResponse:
    """Raise PayoutsNotOffered (404), SignInNeeded (403), PayoutRefused with the reason, KeyReused (409),
    PayoutBusy (429) or RailUnavailable (503).
    """
    owner = caller.signed_in_user().uid
    payout = await app.payouts.request(owner, body.amount_micros, key=body.idempotency_key)
    return PayoutRequestResponse(payout=view_of(payout))
