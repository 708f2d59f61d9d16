"""Delete a conversation with all that was said in it; its receipts stay. Called by apps and programs.

A repeat erases what a try that broke off has left, and then answers that there is none.
"""

from shared.app import App
from shared.base.body import Body
from shared.conversations.models import ConversationId
from shared.conversations.shapes import IdText
from shared.web.auth import Caller
from shared.web.function import http_function
from shared.web.talking import talker


class ConversationDeleteRequest(Body, frozen=True, kw_only=True):
    """Which conversation."""

    conversation_id: IdText


class ConversationDeleteResponse(Body, frozen=True, kw_only=True):
    """It is gone."""

    conversation_id: str
    deleted: bool = True


@http_function(
    auth="holder",
    body=ConversationDeleteRequest,
    path_param="conversation_id",
    path_suffix="/delete",
    answer=ConversationDeleteResponse,
)
async def conversation_delete(body: ConversationDeleteRequest, caller: Caller, app: App) -> ConversationDeleteResponse:
    """Raise ConversationAbsent (404) or ConversationBusy (409)."""
    await app.conversations.delete(talker(caller), ConversationId(body.conversation_id))
    return ConversationDeleteResponse(conversation_id=body.conversation_id)
