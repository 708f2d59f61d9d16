"""List the invitations to a pool, without their codes. Called by its owner or a manager; reads only."""

from shared.app import App
from shared.base.body import Body
from shared.pools.models import InvitationId, PoolId
from shared.pools.shapes import InvitationIdText, InvitationView, PoolIdText, invitation_shown
from shared.web.auth import Caller
from shared.web.function import http_function


class InvitationListRequest(Body, frozen=True, kw_only=True):
    """To which pool, and where to go on: behind this invitation."""

    pool_id: PoolIdText
    after: InvitationIdText | None = None


class InvitationListResponse(Body, frozen=True, kw_only=True):
    """At most a hundred in the order of their ids; the last one's id is the next page's `after`."""

    object: str = "list"
    data: list[InvitationView]


@http_function(
    auth="user_now",
    method="GET",
    body=InvitationListRequest,
    path_param="pool_id",
    path_suffix="/invitations",
    answer=InvitationListResponse,
)
async def invitation_list(body: InvitationListRequest, caller: Caller, app: App) -> InvitationListResponse:
    """Raise RoleMissing (403) or PoolAbsent (404). Those that are over stay listed for some days."""
    after = InvitationId(body.after) if body.after is not None else None
    found = await app.invitations.of_pool(caller.known_user().uid, PoolId(body.pool_id), after=after)
    return InvitationListResponse(data=[invitation_shown(one, app.clock()) for one in found])
