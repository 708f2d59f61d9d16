"""Have a paused key tried again, so that it serves once more. Called by apps; a repeat changes nothing."""

from shared.app import App
from shared.resources.models import KeyId
from shared.resources.shapes import ContributionAnswer, ContributionAsked, view_of
from shared.web.auth import Caller
from shared.web.function import http_function


@http_function(
    auth="user",
    body=ContributionAsked,
    path_param="key_id",
    path_suffix="/resume",
    answer=ContributionAnswer,
)
async def key_resume(body: ContributionAsked, caller: Caller, app: App) -> ContributionAnswer:
    """Raise ContributionAbsent (404), ContributionOver (409), PoolingRefused (403) or ContributionBusy (429)."""
    key = await app.key_care.resume(caller.known_user().uid, KeyId(body.key_id))
    return ContributionAnswer(contribution=view_of(key, app.clock()))
