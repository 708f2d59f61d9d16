"""Answer the newest message of a conversation anew, or for the first time if its answer failed. Called by apps and
programs; a metered call like every turn. The former answer stays as replaced, the proof of its receipt.

A repeat with the same idempotency key tells the answer that is kept, and is not charged again.
"""

from starlette.responses import Response

from shared.app import App
from shared.base.body import Body, IdempotencyKey
from shared.conversations.models import ConversationId
from shared.conversations.shapes import IdText
from shared.conversations.told import whole
from shared.web.answers import json_response
from shared.web.asking import asking
from shared.web.auth import Caller
from shared.web.function import http_function
from shared.web.sse import EventStreamResponse
from shared.web.talking import talker


class ConversationRegenerateRequest(Body, frozen=True, kw_only=True):
    """Which conversation."""

    conversation_id: IdText
    stream: bool = True
    idempotency_key: IdempotencyKey


@http_function(
    auth="spender",
    body=ConversationRegenerateRequest,
    path_param="conversation_id",
    path_suffix="/regenerate",
    streams=True,
    routes=True,
    imports_ahead="shared.providers.gateway",
)
async def conversation_regenerate(body: ConversationRegenerateRequest, caller: Caller, app: App) -> Response:
    """Raise CallUnaffordable (402), ConversationAbsent (404), ConversationBusy, KeyReused or
    NothingToAnswer (409), or what a chat is refused for.
    """
    conversation_id = ConversationId(body.conversation_id)
    reply = await app.replies.regenerate(asking(caller), talker(caller), conversation_id, key=body.idempotency_key)
    if body.stream:
        return EventStreamResponse(reply, reply.headers)
    return json_response(whole(conversation_id, await reply.finished(caller.left)), headers=reply.headers)
