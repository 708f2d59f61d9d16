"""Who talks in conversations, as the request's caller."""

from shared.conversations.models import Caller as Talker
from shared.web.auth import Caller


def talker(caller: Caller) -> Talker:
    """The user, or the card whose key was sent, which sees its own conversations only."""
    return Talker(caller.owner_uid(), caller.account_id, caller.card is not None)
