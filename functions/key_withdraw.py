"""Take a contributed key back for good: its secret is deleted at once. Called by apps; a repeat answers the same.

What its calls earned stays its owner's; what they did not earn of the advance goes back to the house.
"""

from shared.app import App
from shared.resources.models import KeyId
from shared.resources.shapes import ContributionAnswer, ContributionAsked, view_of
from shared.web.auth import Caller
from shared.web.function import http_function


@http_function(
    auth="user_now",
    body=ContributionAsked,
    path_param="key_id",
    path_suffix="/withdraw",
    answer=ContributionAnswer,
)
async def key_withdraw(body: ContributionAsked, caller: Caller, app: App) -> ContributionAnswer:
    """Raise ContributionAbsent (404), ContributionBusy (429) or LedgerUnavailable (503)."""
    key = await app.contributions.withdraw(caller.known_user().uid, KeyId(body.key_id))
    return ContributionAnswer(contribution=view_of(key, app.clock()))
