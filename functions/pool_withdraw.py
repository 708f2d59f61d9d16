"""Take credits that are the caller's own out of a pool. Called by apps; a repeat of the key takes out no more.

Whoever left or was removed may too, for what came back to them later.
"""

from shared.app import App
from shared.base.body import AmountMicros, Body, IdempotencyKey
from shared.pools.models import PoolId
from shared.pools.shapes import PoolIdText
from shared.web.auth import Caller
from shared.web.function import http_function


class PoolWithdrawRequest(Body, frozen=True, kw_only=True):
    """Which pool, and how much."""

    pool_id: PoolIdText
    amount_micros: AmountMicros
    idempotency_key: IdempotencyKey


class PoolWithdrawResponse(Body, frozen=True, kw_only=True):
    """The entry that proves it, the same in the pool and in the wallet."""

    receipt_id: str
    amount_micros: int
    repeated: bool


@http_function(
    auth="user_now",
    body=PoolWithdrawRequest,
    path_param="pool_id",
    path_suffix="/withdrawals",
    answer=PoolWithdrawResponse,
)
async def pool_withdraw(body: PoolWithdrawRequest, caller: Caller, app: App) -> PoolWithdrawResponse:
    """Raise CreditTooLow (402), PoolAbsent or StakeAbsent (404), or KeyReused (409)."""
    posted = await app.pools.withdraw(
        caller.known_user().uid, PoolId(body.pool_id), body.amount_micros, key=body.idempotency_key
    )
    return PoolWithdrawResponse(
        receipt_id=posted.entry.entry_id, amount_micros=-posted.entry.delta_micros, repeated=posted.repeated
    )
