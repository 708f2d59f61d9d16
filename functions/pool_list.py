"""List pools that anybody may join, or those that the caller is in. Called by apps and programs; reads only."""

from typing import Literal

from shared.app import App
from shared.base.body import Body
from shared.pools.models import PoolId
from shared.pools.shapes import PoolIdText, PoolView, pool_shown
from shared.web.auth import Caller
from shared.web.function import http_function


class PoolListRequest(Body, frozen=True, kw_only=True):
    """Where to go on among the public ones: behind this pool. Or `mine`, for those that the caller is in."""

    after: PoolIdText | None = None
    mine: Literal["true", "false"] = "false"


class PoolListResponse(Body, frozen=True, kw_only=True):
    """At most a hundred pools in the order of their ids; the last one's id is the next page's `after`."""

    object: str = "list"
    data: list[PoolView]


@http_function(auth="user", method="GET", body=PoolListRequest, answer=PoolListResponse)
async def pool_list(body: PoolListRequest, caller: Caller, app: App) -> PoolListResponse:
    """`pool_get` tells what is in a pool, and who."""
    if body.mine == "true":
        pools = await app.pools.joined_by(caller.known_user().uid)
    else:
        pools = await app.pools.public(after=PoolId(body.after) if body.after is not None else None)
    return PoolListResponse(data=[pool_shown(pool) for pool in pools])
