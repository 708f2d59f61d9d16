"""Join a public pool, or one that the caller is invited to. Called by apps; a repeat changes nothing."""

from shared.app import App
from shared.base.body import Body
from shared.pools.models import PoolId
from shared.pools.shapes import CodeText, MemberView, PoolIdText, member_only
from shared.web.auth import Caller
from shared.web.function import http_function


class PoolJoinRequest(Body, frozen=True, kw_only=True):
    """Which pool, and the code of an invitation where it is not public."""

    pool_id: PoolIdText
    invitation: CodeText | None = None


class PoolJoinResponse(Body, frozen=True, kw_only=True):
    """The caller as a member."""

    member: MemberView


@http_function(
    auth="user_now", body=PoolJoinRequest, path_param="pool_id", path_suffix="/join", answer=PoolJoinResponse
)
async def pool_join(body: PoolJoinRequest, caller: Caller, app: App) -> PoolJoinResponse:
    """Raise InvitationWrong, MemberBarred, PoolEnding or SignInNeeded (403), PoolAbsent (404) or PoolFull (409)."""
    member = await app.pools.join(caller.signed_in_user().uid, PoolId(body.pool_id), body.invitation)
    return PoolJoinResponse(member=member_only(member, app.clock()))
