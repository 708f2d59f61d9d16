"""Answer a chat in OpenAI's wire format, streamed or whole. Called by apps and any OpenAI client; each call is charged.

A repeat is another call with its own charge; OpenAI's clients send no idempotency key.
"""

from starlette.responses import Response

from shared.app import App
from shared.chat.models import ChatRequest
from shared.web.asking import asking
from shared.web.auth import Caller
from shared.web.called import call
from shared.web.function import http_function

BODY_BYTES_MAX = 20 * 1024 * 1024
"""Room for images sent as data; Cloud Run takes 32 MiB."""


@http_function(
    auth="spender",
    body=ChatRequest,
    body_bytes_max=BODY_BYTES_MAX,
    streams=True,
    routes=True,
    imports_ahead="shared.providers.gateway",
)
async def chat_completions(body: ChatRequest, caller: Caller, app: App) -> Response:
    """Raise PreferenceUnknown or RouteAbsent (400), CallUnaffordable (402), ModelNotAllowed (403), ModelUnknown (404),
    what the ledger's hold raises, or what the provider did.
    """
    return await call(app.chats, asking(caller), body)
