"""Show one of the caller's contributed keys: how it stands, what it earned, its trust. Called by apps; reads only."""

from shared.app import App
from shared.resources.models import KeyId
from shared.resources.shapes import ContributionAnswer, ContributionAsked, view_of
from shared.web.auth import Caller
from shared.web.function import http_function


@http_function(auth="user", method="GET", body=ContributionAsked, path_param="key_id", answer=ContributionAnswer)
async def contribution_get(body: ContributionAsked, caller: Caller, app: App) -> ContributionAnswer:
    """Raise ContributionAbsent (404), for somebody else's as for none."""
    key = await app.contributions.get(caller.known_user().uid, KeyId(body.key_id))
    return ContributionAnswer(contribution=view_of(key, app.clock()))
