"""Change the title or the model of a conversation. Called by apps and programs; a repeat changes nothing more."""

from msgspec import UNSET, UnsetType

from shared.app import App
from shared.base.body import Body, ShortText
from shared.conversations.models import ConversationId
from shared.conversations.shapes import ConversationView, IdText, Title, view_of
from shared.web.auth import Caller
from shared.web.function import http_function
from shared.web.talking import talker


class ConversationUpdateRequest(Body, frozen=True, kw_only=True):
    """What is not named stays."""

    conversation_id: IdText
    title: Title | UnsetType = UNSET
    model: ShortText | UnsetType = UNSET


@http_function(auth="holder", body=ConversationUpdateRequest, path_param="conversation_id", answer=ConversationView)
async def conversation_update(body: ConversationUpdateRequest, caller: Caller, app: App) -> ConversationView:
    """Raise ModelNotAllowed (403), ConversationAbsent or ModelUnknown (404)."""
    conversation = await app.conversation_openings.update(
        talker(caller),
        ConversationId(body.conversation_id),
        title=body.title,
        model=body.model,
        models_allowed=caller.models_allowed,
    )
    return view_of(conversation, app.clock())
