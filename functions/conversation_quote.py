"""Tell what a reply, another answer or a title will cost at most and probably. Called by apps before they ask for it.

Keeps, holds and charges nothing, so a repeat is harmless.
"""

from typing import Literal

from msgspec import field

from shared.app import App
from shared.base.body import Body
from shared.base.errors import BadRequest
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
    """Which call would be made, by the end of its path, and of a reply what would be said."""

    conversation_id: IdText
    call: Literal["replies", "regenerate", "title"] = "replies"
    text: MessageText | None = None
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
    """Raise BadRequest or AttachmentInvalid (400), ConversationAbsent (404), NothingToAnswer (409), or what the call
    would be refused for.
    """
    if (body.text is None) is (body.call == "replies") or (body.text is None and body.attachments):
        raise BadRequest("A reply says a text; another answer and a title say none, and no attachments.", param="text")
    about = asking(caller), talker(caller), ConversationId(body.conversation_id)
    if body.call == "title":
        return quote_view_of(await app.titles.quote(*about))
    if body.text is None:
        return quote_view_of(await app.replies.quote_again(*about))
    return quote_view_of(await app.replies.quote(*about, Said(body.text, body.attachments)))
