"""Close a pool for good: its sessions end, and everybody gets back what is theirs. Called by its owner.

While calls of its sessions go on, `status` is `closing`: a repeat, or the timer, does the rest.
"""

from shared.app import App
from shared.base.body import Body
from shared.pools.models import PoolId
from shared.pools.shapes import PoolIdText, PoolView, pool_shown
from shared.web.auth import Caller
from shared.web.function import http_function


class PoolCloseRequest(Body, frozen=True, kw_only=True):
    """Which pool."""

    pool_id: PoolIdText


class PoolCloseResponse(Body, frozen=True, kw_only=True):
    """The pool, and how many of its sessions still wait for their calls."""

    pool: PoolView
    sessions_open: int


@http_function(
    auth="user_now", body=PoolCloseRequest, path_param="pool_id", path_suffix="/close", answer=PoolCloseResponse
)
async def pool_close(body: PoolCloseRequest, caller: Caller, app: App) -> PoolCloseResponse:
    """Raise RoleMissing (403) or PoolAbsent (404)."""
    closed = await app.partings.close(caller.known_user().uid, PoolId(body.pool_id))
    return PoolCloseResponse(pool=pool_shown(closed.pool), sessions_open=closed.sessions_open)
