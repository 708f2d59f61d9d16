"""A recording from request to charge, in OpenAI's wire format."""

from typing import Any

from shared.base.units import Unit
from shared.calls.models import Answered, Asking
from shared.calls.service import Calls, told_cost
from shared.catalog.allowed import check_allowed
from shared.catalog.models import Modality
from shared.catalog.service import Catalog
from shared.metering.models import Usage
from shared.providers.errors import Fault, UpstreamUnavailable
from shared.providers.gateway import Upstreams
from shared.providers.models import Provider
from shared.speech import rules
from shared.speech.models import Form, SpeechRequest, Transcribed

SUBTITLES = "subtitles"
"""Where the subtitles stand in an answer until it is told."""


class Speech:
    """Has recordings written down and charges for them."""

    def __init__(self, catalog: Catalog, upstreams: Upstreams, calls: Calls) -> None:
        self._catalog = catalog
        self._upstreams = upstreams
        self._calls = calls

    async def transcribe(self, asking: Asking, request: SpeechRequest) -> Transcribed:
        """The text, charged by the recording's length. Nothing is charged when this raises."""
        await self._catalog.refresh()
        model, price = self._catalog.model_for(request.model, {Modality.SPEECH}, {Unit.AUDIO_MS}, "transcriptions")
        check_allowed(model, asking.models_allowed)
        rules.check(request)

        async def ask(provider: Provider, upstream_model: str, timeout_s: float) -> dict[str, Any]:
            form = rules.upstream_form(request, upstream_model)
            answer = await self._upstreams.transcription(provider, form, timeout_s=timeout_s)
            if request.response_format not in (Form.SRT, Form.VTT):
                return answer
            # Before the charge: a provider that tells no times has not answered what was asked.
            try:
                return {**answer, SUBTITLES: rules.subtitles(answer, request.response_format)}
            except ValueError:
                # No failure of the route: it does so whenever it is asked, and asking again would be billed again.
                raise UpstreamUnavailable(provider.name, "tells no times", fault=Fault.UNFIT) from None

        def count(answer: dict[str, Any]) -> Usage | None:
            return rules.usage_of(answer, request)

        answered = await self._calls.answer(asking, model, rules.quote_of(request, model, price), ask, count)
        return _told(answered, count(answered.body), request.response_format)


def _told(answered: Answered, usage: Usage | None, form: Form) -> Transcribed:
    match form:
        case Form.JSON | Form.VERBOSE_JSON:
            reported = answered.body.get("usage")
            audio_ms = usage.count(Unit.AUDIO_MS) if usage else 0
            ours = {"type": "duration", "seconds": -(-audio_ms // 1_000)}
            told = {**(reported if isinstance(reported, dict) else ours), "audio_ms": audio_ms}
            body = {**answered.body, "usage": {**told, **told_cost(answered.charge)}}
            return Transcribed(body, "application/json", answered.headers)
        case Form.TEXT:
            return Transcribed(answered.body["text"] + "\n", "text/plain", answered.headers)
        case Form.SRT:
            return Transcribed(answered.body[SUBTITLES], "application/x-subrip", answered.headers)
        case Form.VTT:
            return Transcribed(answered.body[SUBTITLES], "text/vtt", answered.headers)
