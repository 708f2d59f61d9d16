"""Make an invitation to a pool. Called by its owner or a manager; a repeat makes another one."""

from shared.app import App
from shared.base.body import Body
from shared.pools.models import PoolId
from shared.pools.shapes import InvitationLifetimeS, PoolIdText, UsesMax
from shared.web.auth import Caller
from shared.web.function import http_function

LIFETIME_S = 7 * 86_400


class PoolInviteRequest(Body, frozen=True, kw_only=True):
    """To which pool, for how many people, and for how long."""

    pool_id: PoolIdText
    uses_max: UsesMax = 1
    lifetime_s: InvitationLifetimeS = LIFETIME_S


class PoolInviteResponse(Body, frozen=True, kw_only=True):
    """The code, shown once: whoever has it can join. By its id it is listed and revoked."""

    invitation_id: str
    code: str
    uses_max: int
    expires_at_ms: int


@http_function(
    auth="user_now", body=PoolInviteRequest, path_param="pool_id", path_suffix="/invitations", answer=PoolInviteResponse
)
async def pool_invite(body: PoolInviteRequest, caller: Caller, app: App) -> PoolInviteResponse:
    """Raise RoleMissing or PoolEnding (403), PoolAbsent (404) or InvitationsFull (409)."""
    invited = await app.invitations.invite(
        caller.known_user().uid, PoolId(body.pool_id), uses_max=body.uses_max, lifetime_ms=body.lifetime_s * 1000
    )
    return PoolInviteResponse(
        invitation_id=invited.invitation.invitation_id,
        code=invited.code.reveal(),
        uses_max=invited.invitation.uses_max,
        expires_at_ms=invited.invitation.expires_at_ms,
    )
