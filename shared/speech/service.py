"""A recording from request to charge, in OpenAI's wire format."""

from typing import Any

from shared.base.units import Unit
from shared.calls.models import Answered, Asking
from shared.calls.service import Calls
from shared.calls.stream import WorkStream
from shared.catalog.allowed import check_allowed
from shared.catalog.models import Capability, Modality, Model, Price
from shared.catalog.service import Catalog
from shared.metering.models import Usage
from shared.providers.errors import Fault, UpstreamUnavailable
from shared.providers.gateway import Upstreams, UpstreamStream
from shared.providers.models import Provider
from shared.speech import rules
from shared.speech.models import Form, SpeechRequest, Transcribed
from shared.speech.stream import Transcript, TranscriptAtOnce, told_usage

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
        model, price = await self._checked(asking, request)
        return await self._transcribe(asking, request, model, price)

    async def stream(self, asking: Asking, request: SpeechRequest) -> WorkStream | TranscriptAtOnce:
        """The text while it is written, or at once where the model's providers tell it so.

        Raises like `transcribe` until the provider has begun; afterwards the stream tells.
        """
        model, price = await self._checked(asking, request)
        if not rules.is_told_as_written(model):
            whole = await self._transcribe(asking, request, model, price)
            return TranscriptAtOnce(whole)

        async def ask(provider: Provider, upstream_model: str, timeout_s: float) -> UpstreamStream:
            form = rules.upstream_form(request, upstream_model, streamed=True)
            return await self._upstreams.transcription_stream(provider, form, timeout_s=timeout_s)

        needs = frozenset({Capability.STREAMING.value})
        self._calls.check(asking, model, needs)
        call = await self._calls.hold(asking, model, rules.quote_of(request, model, price))
        routed = await self._calls.first_answer(asking, model, call, ask, needs=needs, begun=True)
        return WorkStream(asking, model, call, routed, Transcript(request))

    async def _checked(self, asking: Asking, request: SpeechRequest) -> tuple[Model, Price]:
        await self._catalog.refresh()
        model, price = self._catalog.model_for(request.model, {Modality.SPEECH}, {Unit.AUDIO_MS}, "transcriptions")
        check_allowed(model, asking.models_allowed)
        rules.check(request)
        return model, price

    async def _transcribe(self, asking: Asking, request: SpeechRequest, model: Model, price: Price) -> Transcribed:

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

        def count(answer: dict[str, Any]) -> Usage:
            return rules.usage_of(answer, request)

        answered = await self._calls.answer(asking, model, rules.quote_of(request, model, price), ask, count)
        return _told(answered, count(answered.body), request.response_format)


def _told(answered: Answered, usage: Usage | None, form: Form) -> Transcribed:
    match form:
        case Form.JSON | Form.VERBOSE_JSON:
            body = {**answered.body, "usage": told_usage(answered.body.get("usage"), usage, answered.charge)}
            return Transcribed(body, "application/json", answered.headers)
        case Form.TEXT:
            return Transcribed(answered.body["text"] + "\n", "text/plain", answered.headers)
        case Form.SRT:
            return Transcribed(answered.body[SUBTITLES], "application/x-subrip", answered.headers)
        case Form.VTT:
            return Transcribed(answered.body[SUBTITLES], "text/vtt", answered.headers)
