"""Answer a message in a conversation, streamed in OpenAI's chunks or whole. Called by apps and programs; each turn is
one metered call with its receipt on the answer, and each summary of older messages another.

A repeat with the same idempotency key tells the answer that is kept, and is not charged again.
"""

from msgspec import field
from starlette.responses import Response

from shared.app import App
from shared.base.body import Body, IdempotencyKey
from shared.conversations.attachments import Attachments
from shared.conversations.models import ConversationId
from shared.conversations.replies import Said
from shared.conversations.shapes import IdText, MessageText
from shared.conversations.told import whole
from shared.web.answers import json_response
from shared.web.asking import asking
from shared.web.auth import Caller
from shared.web.function import http_function
from shared.web.sse import EventStreamResponse
from shared.web.talking import talker

BODY_BYTES_MAX = 20 * 1024 * 1024
"""Room for the images of a message as data; Cloud Run takes 32 MiB."""


class ConversationReplyRequest(Body, frozen=True, kw_only=True):
    """What the user says, and what is attached to it."""

    conversation_id: IdText
    text: MessageText
    attachments: Attachments = field(default_factory=list)
    stream: bool = True
    idempotency_key: IdempotencyKey


@http_function(
    auth="spender",
    body=ConversationReplyRequest,
    body_bytes_max=BODY_BYTES_MAX,
    path_param="conversation_id",
    path_suffix="/replies",
    streams=True,
    routes=True,
    imports_ahead="shared.providers.gateway",
)
async def conversation_reply(body: ConversationReplyRequest, caller: Caller, app: App) -> Response:
    """Raise AttachmentInvalid (400), CallUnaffordable (402), ConversationAbsent (404), ConversationBusy,
    KeyReused or TurnPassed (409), or what a chat is refused for.
    """
    said, conversation_id = Said(body.text, body.attachments), ConversationId(body.conversation_id)
    reply = await app.replies.reply(asking(caller), talker(caller), conversation_id, said, key=body.idempotency_key)
    if body.stream:
        return EventStreamResponse(reply, reply.headers)
    return json_response(whole(conversation_id, await reply.finished(caller.left)), headers=reply.headers)
