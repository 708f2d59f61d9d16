"""Leave a pool with all that is the caller's own; their sessions on it end. Called by apps; repeat it freely."""

from shared.app import App
from shared.base.body import Body
from shared.pools.models import PoolId
from shared.pools.shapes import PoolIdText
from shared.web.auth import Caller
from shared.web.function import http_function


class PoolLeaveRequest(Body, frozen=True, kw_only=True):
    """Which pool."""

    pool_id: PoolIdText


class PoolLeaveResponse(Body, frozen=True, kw_only=True):
    """What this call returned, and how many sessions still wait for their calls; what those leave follows by itself."""

    returned_micros: int
    sessions_open: int


@http_function(
    auth="user_now", body=PoolLeaveRequest, path_param="pool_id", path_suffix="/leave", answer=PoolLeaveResponse
)
async def pool_leave(body: PoolLeaveRequest, caller: Caller, app: App) -> PoolLeaveResponse:
    """Raise PoolAbsent (404) or OwnerStays (409)."""
    parted = await app.partings.leave(caller.known_user().uid, PoolId(body.pool_id))
    return PoolLeaveResponse(returned_micros=parted.returned_micros, sessions_open=parted.sessions_open)
