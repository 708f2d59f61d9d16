"""Embed texts in OpenAI's wire format. Called by apps and any OpenAI client; each call is charged by the token.

A repeat is another call with its own charge; OpenAI's clients send no idempotency key.
"""

from starlette.responses import Response

from shared.app import App
from shared.embeddings.models import EmbeddingRequest
from shared.web.asking import asking
from shared.web.auth import Caller
from shared.web.called import whole
from shared.web.function import http_function

BODY_BYTES_MAX = 8 * 1024 * 1024
"""Room for two thousand pages of text."""


@http_function(
    auth="spender",
    body=EmbeddingRequest,
    body_bytes_max=BODY_BYTES_MAX,
    routes=True,
    imports_ahead="shared.providers.gateway",
)
async def embedding_create(body: EmbeddingRequest, caller: Caller, app: App) -> Response:
    """Raise CallUnaffordable (402), ModelNotAllowed (403), ModelUnknown (404), or what the provider did."""
    return whole(await app.embeddings.answer(asking(caller), body))
