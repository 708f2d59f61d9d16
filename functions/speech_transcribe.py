"""Write a recording down in OpenAI's wire format, whole or while it is heard. Called by apps and any OpenAI client;
charged by its length.

A repeat is another call with its own charge; OpenAI's clients send no idempotency key.
"""

from starlette.responses import Response

from shared.app import App
from shared.providers.models import RECORDING_BYTES_MAX
from shared.speech.models import SpeechRequest
from shared.web.asking import asking
from shared.web.auth import Caller
from shared.web.function import http_function
from shared.web.heard import heard

BODY_BYTES_MAX = RECORDING_BYTES_MAX + 64 * 1024
"""The recording and the fields beside it."""


@http_function(
    auth="spender",
    body=SpeechRequest,
    body_bytes_max=BODY_BYTES_MAX,
    form=True,
    streams=True,
    routes=True,
    media_types=("application/json", "text/plain", "application/x-subrip", "text/vtt"),
    imports_ahead="shared.providers.gateway",
)
async def speech_transcribe(body: SpeechRequest, caller: Caller, app: App) -> Response:
    """Raise SpeechInvalid (400), CallUnaffordable (402), ModelNotAllowed (403), ModelUnknown (404), or what the
    provider did.
    """
    return await heard(app, asking(caller), body)
