"""Have a cheap model make a title of what was said, and give it to the conversation. Called by apps and programs; one
metered call, whose receipt stands on a message of the role `title`. A title of one's own is `conversation_update`'s.

A repeat with the same idempotency key tells the title that was made, and is not charged again.
"""

from shared.app import App
from shared.base.body import Body, IdempotencyKey
from shared.conversations.models import ConversationId
from shared.conversations.shapes import ConversationView, IdText, MessageView, message_view_of, view_of
from shared.web.asking import asking
from shared.web.auth import Caller
from shared.web.function import http_function
from shared.web.talking import talker


class ConversationTitleRequest(Body, frozen=True, kw_only=True):
    """Which conversation."""

    conversation_id: IdText
    idempotency_key: IdempotencyKey


class ConversationTitleResponse(Body, frozen=True, kw_only=True):
    """The conversation as it is called now, and what the model said, with what that cost."""

    conversation: ConversationView
    message: MessageView


@http_function(
    auth="spender",
    body=ConversationTitleRequest,
    path_param="conversation_id",
    path_suffix="/title",
    answer=ConversationTitleResponse,
    routes=True,
    imports_ahead="shared.providers.gateway",
)
async def conversation_title(body: ConversationTitleRequest, caller: Caller, app: App) -> ConversationTitleResponse:
    """Raise CallUnaffordable (402), ConversationAbsent (404), ConversationBusy or NothingToAnswer (409), ReplyFailed
    (503), or what a chat is refused for.
    """
    conversation_id = ConversationId(body.conversation_id)
    titled = await app.titles.make(asking(caller), talker(caller), conversation_id, key=body.idempotency_key)
    view = view_of(titled.conversation, app.clock())
    return ConversationTitleResponse(conversation=view, message=message_view_of(titled.message))
