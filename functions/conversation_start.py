"""Begin a conversation: with a model, or the cheapest there is. Called by apps and programs; costs nothing.

A repeat with the same idempotency key answers the conversation that it began.
"""

from typing import Annotated, Literal

from msgspec import Meta

from shared.app import App
from shared.base.body import Body, IdempotencyKey, ShortText
from shared.conversations.history import HISTORY_TOKENS_MAX, HISTORY_TOKENS_MIN
from shared.conversations.models import ANSWER_TOKENS_DEFAULT, HISTORY_TOKENS_DEFAULT
from shared.conversations.openings import Terms
from shared.conversations.shapes import ANSWER_TOKENS_MAX, ConversationView, SystemText, Title, view_of
from shared.web.auth import Caller, UserNeeded
from shared.web.function import http_function
from shared.web.talking import talker


class ConversationStartRequest(Body, frozen=True, kw_only=True):
    """Without a model, `preference` chooses one: the cheapest of all, or of those that see images."""

    model: ShortText | None = None
    preference: Literal["cheapest", "vision"] = "cheapest"
    title: Title = ""
    system: SystemText = ""
    remembers: bool = False
    history_tokens_max: Annotated[int, Meta(ge=HISTORY_TOKENS_MIN, le=HISTORY_TOKENS_MAX)] = HISTORY_TOKENS_DEFAULT
    answer_tokens_max: Annotated[int, Meta(ge=1, le=ANSWER_TOKENS_MAX)] = ANSWER_TOKENS_DEFAULT
    idempotency_key: IdempotencyKey


@http_function(auth="holder", body=ConversationStartRequest, answer=ConversationView)
async def conversation_start(body: ConversationStartRequest, caller: Caller, app: App) -> ConversationView:
    """Raise ModelNotAllowed, TooManyConversations or UserNeeded (403), ModelUnknown (404) or KeyReused (409)."""
    if body.remembers and caller.card:
        raise UserNeeded
    terms = Terms(
        model=body.model,
        preference=body.preference,
        title=body.title,
        system=body.system,
        remembers=body.remembers,
        history_tokens_max=body.history_tokens_max,
        answer_tokens_max=body.answer_tokens_max,
    )
    key, allowed = body.idempotency_key, caller.models_allowed
    begun = await app.conversation_openings.start(talker(caller), terms, key=key, models_allowed=allowed)
    return view_of(begun, app.clock())
