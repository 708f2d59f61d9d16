"""Show one pool: to its members with what each has and used, to others the face of a public one. Reads only."""

from shared.app import App
from shared.base.body import Body
from shared.pools.models import PoolId
from shared.pools.shapes import MemberView, PoolIdText, PoolView, member_shown, members_shown, pool_shown
from shared.web.auth import Caller
from shared.web.function import http_function


class PoolGetRequest(Body, frozen=True, kw_only=True):
    """Which pool."""

    pool_id: PoolIdText


class PoolGetResponse(Body, frozen=True, kw_only=True):
    """The pool. All but itself and the number of its members is null for whoever is no member."""

    pool: PoolView
    members_count: int
    balance_micros: int | None
    drawable_micros: int | None
    me: MemberView | None
    members: list[MemberView] | None


@http_function(auth="user", method="GET", body=PoolGetRequest, path_param="pool_id", answer=PoolGetResponse)
async def pool_get(body: PoolGetRequest, caller: Caller, app: App) -> PoolGetResponse:
    """Raise PoolAbsent (404), for a private pool of others as for none."""
    state, at_ms = await app.pools.get(caller.known_user().uid, PoolId(body.pool_id)), app.clock()
    return PoolGetResponse(
        pool=pool_shown(state.pool),
        members_count=state.seats,
        balance_micros=state.balance_micros,
        drawable_micros=state.drawable_micros,
        me=member_shown(state.me, at_ms) if state.me else None,
        members=members_shown(state, at_ms),
    )
