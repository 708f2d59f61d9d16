"""Open a session: a key that spends one budget, of a pool or of the caller's wallet, for a day at most. Called by apps.

The key is answered once, and is an API key for any OpenAI client. A repeat with the same idempotency key opens nothing
more: it finishes what a failed try began, and answers without a key once there was an answer with one.
"""

from shared.app import App
from shared.base.body import AmountMicros, Body, IdempotencyKey, ShortText
from shared.cards.shapes import ModelNames
from shared.pools.models import PoolId, SessionOrder
from shared.pools.shapes import PoolIdText, SessionLifetimeS, SessionView, session_shown
from shared.web.auth import Caller
from shared.web.function import http_function

LIFETIME_S = 3_600


class SessionCreateRequest(Body, frozen=True, kw_only=True):
    """What for, from where and how much, for which models, and for how long."""

    name: ShortText = "session"
    pool_id: PoolIdText | None = None
    budget_micros: AmountMicros
    models: ModelNames | None = None
    lifetime_s: SessionLifetimeS = LIFETIME_S
    idempotency_key: IdempotencyKey


class SessionCreateResponse(Body, frozen=True, kw_only=True):
    """The session and its key. The key is null in the answer to a repeat; the owner can do without."""

    session: SessionView
    key: str | None


@http_function(auth="user_now", body=SessionCreateRequest, answer=SessionCreateResponse)
async def session_create(body: SessionCreateRequest, caller: Caller, app: App) -> SessionCreateResponse:
    """Raise CreditTooLow or SpendLimitReached (402), PoolEnding (403), PoolAbsent (404) or KeyReused (409)."""
    order = SessionOrder(
        name=body.name,
        pool_id=PoolId(body.pool_id) if body.pool_id is not None else None,
        budget_micros=body.budget_micros,
        models=None if body.models is None else frozenset(body.models),
        lifetime_ms=body.lifetime_s * 1000,
    )
    created = await app.sessions.create(caller.known_user().uid, order, key=body.idempotency_key)
    return SessionCreateResponse(session=session_shown(created.card), key=created.key.reveal() if created.key else None)
