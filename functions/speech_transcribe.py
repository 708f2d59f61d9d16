"""Write a recording down in OpenAI's wire format, whole or while it is heard. Called by apps and any OpenAI client;
charged by its length.

A repeat is another call with its own charge; OpenAI's clients send no idempotency key.
"""

from starlette.responses import Response

from shared.app import App
from shared.speech.models import RECORDING_BYTES_MAX, SpeechRequest
from shared.speech.rules import is_streamed
from shared.web.answers import json_response
from shared.web.asking import asking
from shared.web.auth import Caller
from shared.web.function import http_function
from shared.web.sse import EventStreamResponse

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
    if is_streamed(body):
        stream = await app.speech.stream(asking(caller), body)
        return EventStreamResponse(stream, stream.headers)
    transcribed = await app.speech.transcribe(asking(caller), body)
    if isinstance(transcribed.body, str):
        return Response(transcribed.body, media_type=transcribed.media_type, headers=dict(transcribed.headers))
    return json_response(transcribed.body, headers=transcribed.headers)
