"""Put credits of the caller's wallet into a pool of theirs. Called by apps; a repeat of the key puts in no more.

They stay the caller's to take out until somebody draws them. Promotional credits are drawn by nobody else.
"""

from typing import Literal

from shared.app import App
from shared.base.body import AmountMicros, Body, IdempotencyKey
from shared.ledger.models import Origin
from shared.pools.models import PoolId
from shared.pools.shapes import PoolIdText
from shared.web.auth import Caller
from shared.web.function import http_function


class PoolContributeRequest(Body, frozen=True, kw_only=True):
    """Which pool, how much, and of which credits; without an origin the promotional ones go first."""

    pool_id: PoolIdText
    amount_micros: AmountMicros
    origin: Literal["paid", "promo"] | None = None
    idempotency_key: IdempotencyKey


class PoolContributeResponse(Body, frozen=True, kw_only=True):
    """The entry in the wallet that proves it; the pool's has the same id."""

    receipt_id: str
    amount_micros: int
    balance_micros: int
    repeated: bool


@http_function(
    auth="user_now",
    body=PoolContributeRequest,
    path_param="pool_id",
    path_suffix="/contributions",
    answer=PoolContributeResponse,
)
async def pool_contribute(body: PoolContributeRequest, caller: Caller, app: App) -> PoolContributeResponse:
    """Raise CreditTooLow (402), PoolAbsent (404), KeyReused (409) or SendLimitExceeded (429)."""
    posted = await app.pools.contribute(
        caller.known_user().uid,
        PoolId(body.pool_id),
        body.amount_micros,
        origin=Origin(body.origin) if body.origin else None,
        key=body.idempotency_key,
    )
    return PoolContributeResponse(
        receipt_id=posted.entry.entry_id,
        amount_micros=-posted.entry.delta_micros,
        balance_micros=posted.entry.balance_micros,
        repeated=posted.repeated,
    )
