"""Let an invitation to a pool let in nobody more. Called by the pool's owner or a manager; a repeat changes nothing.

Whoever joined by it stays a member.
"""

from shared.app import App
from shared.base.body import Body
from shared.pools.models import InvitationId, PoolId
from shared.pools.shapes import InvitationIdText, InvitationView, PoolIdText, invitation_shown
from shared.web.auth import Caller
from shared.web.function import http_function


class InvitationRevokeRequest(Body, frozen=True, kw_only=True):
    """Which pool, and which of its invitations."""

    pool_id: PoolIdText
    invitation_id: InvitationIdText


class InvitationRevokeResponse(Body, frozen=True, kw_only=True):
    """The invitation as it is now."""

    invitation: InvitationView


@http_function(
    auth="user_now",
    body=InvitationRevokeRequest,
    path_param="pool_id",
    path_suffix="/invitations/revoke",
    answer=InvitationRevokeResponse,
)
async def invitation_revoke(body: InvitationRevokeRequest, caller: Caller, app: App) -> InvitationRevokeResponse:
    """Raise RoleMissing (403), PoolAbsent or InvitationAbsent (404)."""
    revoked = await app.invitations.revoke(
        caller.known_user().uid, PoolId(body.pool_id), InvitationId(body.invitation_id)
    )
    return InvitationRevokeResponse(invitation=invitation_shown(revoked, app.clock()))
