"""Make one call inside one of the caller's sessions, without its key. Called by apps; each call is charged to it.

`call` names what is asked for, and `body` is what that endpoint takes, streamed or in the background too. What is not
named in CALLS is asked for with the session's own key. With `remember` a chat goes on from what the session remembers,
and is remembered in turn. A repeat is another call with its own charge.
"""

from typing import Annotated, Any

from msgspec import Meta
from msgspec.structs import replace
from starlette.responses import Response

from shared.app import App
from shared.base.body import Body
from shared.base.errors import BadRequest
from shared.calls.models import Asking
from shared.cards.models import Card, CardId
from shared.chat.models import ChatRequest
from shared.embeddings.models import EmbeddingRequest
from shared.images.models import ImageRequest
from shared.pools.shapes import SessionIdText
from shared.responses.models import ResponseRequest
from shared.speech.models import SpeechRequest
from shared.web.asking import asking
from shared.web.auth import Caller
from shared.web.body import parse
from shared.web.called import call, whole
from shared.web.form import form_of
from shared.web.function import http_function
from shared.web.heard import heard
from shared.web.painted import painted

BODY_BYTES_MAX = 20 * 1024 * 1024
"""As for a chat."""
CALLS = ("chat.completions", "responses", "embeddings", "images.generations", "audio.transcriptions")
"""Every call of a model, streamed, whole, or as a picture's job. A recording is in base64 where its form has a file."""
CALL_CHARS_MAX = 100


class SessionRequestRequest(Body, frozen=True, kw_only=True):
    """In which session, what, and the body of it in OpenAI's form."""

    session_id: SessionIdText
    call: Annotated[str, Meta(max_length=CALL_CHARS_MAX, extra_json_schema={"enum": list(CALLS)})]
    body: dict[str, Any]
    remember: bool = False


@http_function(
    auth="user",
    body=SessionRequestRequest,
    body_bytes_max=BODY_BYTES_MAX,
    path_param="session_id",
    path_suffix="/requests",
    streams=True,
    routes=True,
    imports_ahead="shared.providers.gateway",
)
async def session_request(body: SessionRequestRequest, caller: Caller, app: App) -> Response:
    """Raise CardAbsent (404), CardClosed or CardExpired (403), CardNotReady (409), or what the call itself does."""
    if body.remember and (body.call != "chat.completions" or body.body.get("stream") is True):
        raise BadRequest("remember: Only a chat that is answered whole can be remembered.", param="remember")
    session = await app.sessions.usable(caller.known_user().uid, CardId(body.session_id))
    # From here on the caller is the session and nobody else: its account, its models, its place for answers.
    inside = replace(caller, name=session.account_id, user=None, card=session)
    match body.call:
        case "chat.completions" if body.remember:
            return await _remembered_chat(app, asking(inside), session, body)
        case "chat.completions":
            return await call(app.chats, asking(inside), parse(ChatRequest, body.body))
        case "responses":
            return await call(app.responses, asking(inside), parse(ResponseRequest, body.body))
        case "embeddings":
            return whole(await app.embeddings.answer(asking(inside), parse(EmbeddingRequest, body.body)))
        case "images.generations":
            return await painted(app, asking(inside), session.owner, parse(ImageRequest, body.body))
        case "audio.transcriptions":
            return await heard(app, asking(inside), parse(SpeechRequest, form_of(body.body)))
        case _:
            raise BadRequest(
                f"call: {' and '.join([', '.join(CALLS[:-1]), CALLS[-1]])} are made here. For all else "
                "(conversations, jobs) send the session's own key to its endpoint.",
                param="call",
            )


async def _remembered_chat(app: App, asked: Asking, session: Card, body: SessionRequestRequest) -> Response:
    request = parse(ChatRequest, body.body)
    remembered = await app.session_contexts.recall(session.card_id)
    going_on = parse(ChatRequest, {**body.body, "messages": remembered + list(request.messages)})
    answered = await app.chats.answer(asked, going_on)
    await app.session_contexts.remember(session, going_on.messages, answered.body)
    return whole(answered)
