"""Change what a pool says of itself and on what terms people join. Called by its owner or a manager.

What the request does not name stays as it is; null lifts the limit of new members. A repeat changes nothing.
"""

from msgspec import UNSET, UnsetType

from shared.app import App
from shared.base.body import Body, ShortText
from shared.pools.models import PoolChanges, PoolId
from shared.pools.shapes import AboutText, MemberLimit, MembersMax, PoolIdText, PoolView, pool_shown
from shared.web.auth import Caller
from shared.web.function import http_function


class PoolUpdateRequest(Body, frozen=True, kw_only=True):
    """Which pool, and what becomes different."""

    pool_id: PoolIdText
    name: ShortText | UnsetType = UNSET
    about: AboutText | UnsetType = UNSET
    public: bool | UnsetType = UNSET
    members_max: MembersMax | UnsetType = UNSET
    member_limit: MemberLimit | UnsetType | None = UNSET


class PoolUpdateResponse(Body, frozen=True, kw_only=True):
    """The pool as it is now. Members keep the limits that they have."""

    pool: PoolView


@http_function(auth="user_now", body=PoolUpdateRequest, path_param="pool_id", answer=PoolUpdateResponse)
async def pool_update(body: PoolUpdateRequest, caller: Caller, app: App) -> PoolUpdateResponse:
    """Raise PublicNeedsLimit (400), RoleMissing or PoolEnding (403), PoolAbsent (404)."""
    changes = PoolChanges(
        name=body.name,
        about=body.about,
        public=body.public,
        members_max=body.members_max,
        member_limit=body.member_limit.value() if isinstance(body.member_limit, MemberLimit) else body.member_limit,
    )
    pool = await app.pools.change(caller.known_user().uid, PoolId(body.pool_id), changes)
    return PoolUpdateResponse(pool=pool_shown(pool))
