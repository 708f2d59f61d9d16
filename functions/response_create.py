"""Answer in the format of OpenAI's Responses API, streamed or whole, on any model that chats. Called by apps and any
OpenAI client; each call is charged as a chat.

A repeat is another call with its own charge; OpenAI's clients send no idempotency key.
"""

from starlette.responses import Response

from shared.app import App
from shared.responses.models import ResponseRequest
from shared.web.asking import asking
from shared.web.auth import Caller
from shared.web.called import call
from shared.web.function import http_function

BODY_BYTES_MAX = 20 * 1024 * 1024
"""Room for images sent as data; Cloud Run takes 32 MiB."""


@http_function(
    auth="spender",
    body=ResponseRequest,
    body_bytes_max=BODY_BYTES_MAX,
    streams=True,
    routes=True,
    imports_ahead="shared.providers.gateway",
)
async def response_create(body: ResponseRequest, caller: Caller, app: App) -> Response:
    """Raise ResponseInvalid, PreferenceUnknown or RouteAbsent (400), CallUnaffordable (402), ModelNotAllowed (403),
    ModelUnknown (404), what the ledger's hold raises, or what the provider did.
    """
    return await call(app.responses, asking(caller), body)
