"""Tell what the next turn of a conversation will cost at most and probably. Called by apps before they send.

Keeps, holds and charges nothing, so a repeat is harmless.
"""

from msgspec import field

from shared.app import App
from shared.base.body import Body
from shared.conversations.attachments import Attachments
from shared.conversations.models import ConversationId
from shared.conversations.replies import Said
from shared.conversations.shapes import IdText, MessageText, TurnQuoteView, quote_view_of
from shared.web.asking import asking
from shared.web.auth import Caller
from shared.web.function import http_function
from shared.web.talking import talker

BODY_BYTES_MAX = 20 * 1024 * 1024
"""As of the reply that is quoted."""


class ConversationQuoteRequest(Body, frozen=True, kw_only=True):
    """What would be said."""

    conversation_id: IdText
    text: MessageText
    attachments: Attachments = field(default_factory=list)


@http_function(
    auth="holder",
    body=ConversationQuoteRequest,
    body_bytes_max=BODY_BYTES_MAX,
    path_param="conversation_id",
    path_suffix="/quote",
    answer=TurnQuoteView,
    routes=True,
    imports_ahead="shared.providers.gateway",
)
async def conversation_quote(body: ConversationQuoteRequest, caller: Caller, app: App) -> TurnQuoteView:
    """Raise AttachmentInvalid (400), ConversationAbsent (404), or what the reply would be refused for."""
    said, conversation_id = Said(body.text, body.attachments), ConversationId(body.conversation_id)
    return quote_view_of(await app.replies.quote(asking(caller), talker(caller), conversation_id, said))
