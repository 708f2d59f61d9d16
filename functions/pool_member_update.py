"""Change a member of a pool: role, limit, or whether they are kept out. Called by its owner or a manager.

With the role of the owner the pool is handed over: who owned it is a manager from then on.

Whether the others may draw their paid credits, each member says for themselves, and nobody for another.

What the request does not name stays; null lifts a limit. Removing gives the member what is theirs, and a repeat of it
changes nothing. Managers act on members only, and roles are the owner's to give.
"""

from typing import Literal

from msgspec import UNSET, UnsetType

from shared.app import App
from shared.base.body import Body
from shared.base.errors import BadRequest
from shared.base.ids import UserId
from shared.pools.errors import RoleMissing
from shared.pools.models import PoolId, Role
from shared.pools.shapes import MemberLimit, MemberView, PoolIdText, UserIdText, member_only
from shared.web.auth import Caller
from shared.web.function import http_function


class PoolMemberUpdateRequest(Body, frozen=True, kw_only=True):
    """Which pool, whom, and what becomes different. `removed: false` lets one who was removed join again.

    `removed` and `lends` are said alone.
    """

    pool_id: PoolIdText
    user_id: UserIdText
    role: Literal["owner", "manager", "member"] | None = None
    limit: MemberLimit | UnsetType | None = UNSET
    removed: bool | None = None
    lends: bool | None = None


class PoolMemberUpdateResponse(Body, frozen=True, kw_only=True):
    """The member, and whether they are `in` the pool, `left` it or are `barred` from it."""

    member: MemberView
    standing: str


@http_function(
    auth="user_now",
    body=PoolMemberUpdateRequest,
    path_param="pool_id",
    path_suffix="/members",
    answer=PoolMemberUpdateResponse,
)
async def pool_member_update(body: PoolMemberUpdateRequest, caller: Caller, app: App) -> PoolMemberUpdateResponse:
    """Raise RoleMissing (403), PoolAbsent or MemberAbsent (404), or OwnerStays (409)."""
    if body.lends is not None:
        return await _lend(body, caller, app, lends=body.lends)
    if body.removed is not None and (body.role is not None or body.limit is not UNSET):
        raise BadRequest("removed: Change this alone.", param="removed")
    member = await app.partings.change_member(
        caller.known_user().uid,
        PoolId(body.pool_id),
        UserId(body.user_id),
        role=Role(body.role) if body.role else None,
        limit=body.limit.value() if isinstance(body.limit, MemberLimit) else body.limit,
        barred=body.removed,
    )
    return PoolMemberUpdateResponse(member=member_only(member, app.clock()), standing=member.standing.value)


async def _lend(body: PoolMemberUpdateRequest, caller: Caller, app: App, *, lends: bool) -> PoolMemberUpdateResponse:
    if body.user_id != caller.known_user().uid:
        raise RoleMissing
    if body.role is not None or body.removed is not None or body.limit is not UNSET:
        raise BadRequest("lends: Change this alone.", param="lends")
    member = await app.partings.lend(caller.known_user().uid, PoolId(body.pool_id), lends)
    return PoolMemberUpdateResponse(member=member_only(member, app.clock()), standing=member.standing.value)
