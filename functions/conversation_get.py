"""Tell a conversation with a page of its messages. Called by programs; a repeat is harmless.

Apps that use the Firebase SDK watch `conversations/{id}` instead.
"""

from typing import Annotated

from msgspec import Meta

from shared.app import App
from shared.base.body import LAST, Body
from shared.conversations.models import ConversationId
from shared.conversations.shapes import ConversationView, IdText, MessageView, message_view_of, view_of
from shared.web.auth import Caller
from shared.web.function import http_function
from shared.web.talking import talker


class ConversationGetRequest(Body, frozen=True, kw_only=True):
    """Which conversation, and where its messages go on: behind this number."""

    conversation_id: IdText
    after: Annotated[str, Meta(pattern=rf"^[0-9]{{1,9}}{LAST}")] = "0"


class ConversationGetResponse(Body, frozen=True, kw_only=True):
    """At most a hundred messages, fewer if they are long; the last one's number is the next page's `after`, and a page
    without messages is behind the last.
    """

    conversation: ConversationView
    messages: list[MessageView]


@http_function(
    auth="holder",
    method="GET",
    body=ConversationGetRequest,
    path_param="conversation_id",
    answer=ConversationGetResponse,
)
async def conversation_get(body: ConversationGetRequest, caller: Caller, app: App) -> ConversationGetResponse:
    """Raise ConversationAbsent (404)."""
    conversation_id, after = ConversationId(body.conversation_id), int(body.after)
    found, messages = await app.conversations.read(talker(caller), conversation_id, after=after)
    return ConversationGetResponse(
        conversation=view_of(found, app.clock()), messages=[message_view_of(one) for one in messages]
    )
