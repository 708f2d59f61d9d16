"""Recordings as their endpoint answers them: an object, a text, or the words while they are heard."""

from starlette.responses import Response

from shared.app import App
from shared.calls.models import Asking
from shared.speech.models import SpeechRequest
from shared.speech.rules import is_streamed
from shared.web.answers import json_response
from shared.web.sse import EventStreamResponse


async def heard(app: App, asking: Asking, request: SpeechRequest) -> Response:
    """The answer to a recording, with the headers that tell its charge and route. Raise what the call does."""
    if is_streamed(request):
        stream = await app.speech.stream(asking, request)
        return EventStreamResponse(stream, stream.headers)
    transcribed = await app.speech.transcribe(asking, request)
    if isinstance(transcribed.body, str):
        return Response(transcribed.body, media_type=transcribed.media_type, headers=dict(transcribed.headers))
    return json_response(transcribed.body, headers=transcribed.headers)
