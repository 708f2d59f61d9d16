"""Stop the answer that a conversation is writing, from any connection. Called by apps and programs.

What was delivered until then is kept and charged. A repeat is harmless.
"""

from shared.app import App
from shared.base.body import Body
from shared.conversations.models import ConversationId
from shared.conversations.shapes import IdText
from shared.web.auth import Caller
from shared.web.function import http_function
from shared.web.talking import talker


class ConversationStopRequest(Body, frozen=True, kw_only=True):
    """Which conversation."""

    conversation_id: IdText


class ConversationStopResponse(Body, frozen=True, kw_only=True):
    """Whether an answer was being written; it ends within a second or two, at its next word."""

    stopping: bool


@http_function(
    auth="holder",
    body=ConversationStopRequest,
    path_param="conversation_id",
    path_suffix="/stop",
    answer=ConversationStopResponse,
)
async def conversation_stop(body: ConversationStopRequest, caller: Caller, app: App) -> ConversationStopResponse:
    """Raise ConversationAbsent (404)."""
    stopping = await app.conversations.stop(talker(caller), ConversationId(body.conversation_id))
    return ConversationStopResponse(stopping=stopping)
