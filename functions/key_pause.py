"""Leave a contributed key alone until it is resumed. Called by apps; a repeat changes nothing."""

from shared.app import App
from shared.resources.models import KeyId
from shared.resources.shapes import ContributionAnswer, ContributionAsked, view_of
from shared.web.auth import Caller
from shared.web.function import http_function


@http_function(
    auth="user",
    body=ContributionAsked,
    path_param="key_id",
    path_suffix="/pause",
    answer=ContributionAnswer,
)
async def key_pause(body: ContributionAsked, caller: Caller, app: App) -> ContributionAnswer:
    """Raise ContributionAbsent (404), ContributionOver (409) or ContributionBusy (429)."""
    key = await app.contributions.pause(caller.known_user().uid, KeyId(body.key_id))
    return ContributionAnswer(contribution=view_of(key, app.clock()))
