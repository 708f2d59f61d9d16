"""List the caller's contributed keys, those that are over too. Called by apps and programs; reads only."""

from shared.app import App
from shared.base.body import Body
from shared.resources.models import KeyId
from shared.resources.shapes import ContributionView, KeyIdText, view_of
from shared.web.auth import Caller
from shared.web.function import http_function


class ContributionListRequest(Body, frozen=True, kw_only=True):
    """Where to go on: behind this one."""

    after: KeyIdText | None = None


class ContributionListResponse(Body, frozen=True, kw_only=True):
    """At most a hundred in the order of their ids; the last one's id is the next page's `after`."""

    object: str = "list"
    data: list[ContributionView]


@http_function(auth="user", method="GET", body=ContributionListRequest, answer=ContributionListResponse)
async def contribution_list(body: ContributionListRequest, caller: Caller, app: App) -> ContributionListResponse:
    """Raise ContributionsUnavailable (503)."""
    after = KeyId(body.after) if body.after is not None else None
    keys = await app.contributions.owned_by(caller.known_user().uid, after=after)
    return ContributionListResponse(data=[view_of(key, app.clock()) for key in keys])
