"""List the caller's conversations. Called by programs; reads only. A card's key sees what was begun with it."""

from shared.app import App
from shared.base.body import Body
from shared.conversations.models import ConversationId
from shared.conversations.shapes import ConversationView, IdText, view_of
from shared.web.auth import Caller
from shared.web.function import http_function
from shared.web.talking import talker


class ConversationListRequest(Body, frozen=True, kw_only=True):
    """Where to go on: behind this conversation."""

    after: IdText | None = None


class ConversationListResponse(Body, frozen=True, kw_only=True):
    """At most a hundred in the order of their ids; `next_after` is the next page's `after`, null behind the last."""

    object: str = "list"
    data: list[ConversationView]
    next_after: str | None


@http_function(auth="holder", method="GET", body=ConversationListRequest, answer=ConversationListResponse)
async def conversation_list(body: ConversationListRequest, caller: Caller, app: App) -> ConversationListResponse:
    """`conversation_get` tells their messages."""
    after = ConversationId(body.after) if body.after is not None else None
    page, next_after = await app.conversations.list(talker(caller), after=after)
    now_ms = app.clock()
    return ConversationListResponse(data=[view_of(one, now_ms) for one in page], next_after=next_after)
