"""Pure decisions about recordings: what may be asked, what it can cost, what the provider is sent, what to charge."""

from collections.abc import Mapping
from typing import Any

from shared.base.units import Unit
from shared.catalog.models import Capability, Model, Price
from shared.metering.models import Quote, Usage, UsageSource
from shared.metering.rules import quote
from shared.providers.models import RECORDING_BYTES_MAX, AudioForm
from shared.speech import duration
from shared.speech.errors import SpeechInvalid
from shared.speech.models import Form, SpeechRequest

NOT_FOR_SALE = {
    "audio": "another recording than file",
    "audio_url": "another recording than file",
    "diarize": "telling speakers apart",
    "file_id": "another recording than file",
    "file_url": "another recording than file",
    "known_speaker_names[]": "telling speakers apart",
    "known_speaker_references[]": "telling speakers apart",
    "models": "a list of models",
    "provider": "provider preferences",
    "route": "provider routing",
    "service_tier": "service tiers",
    "url": "another recording than file",
}
"""Fields that would make a provider sell us something else than what was quoted, at a price we have not agreed."""
WITH_SEGMENTS = frozenset({Form.VERBOSE_JSON, Form.SRT, Form.VTT})


def check(request: SpeechRequest) -> None:
    """Raise SpeechInvalid for what cannot be priced. Everything else is the provider's to judge."""
    for name, value in request.others.items():
        # Some providers' parsers ignore case, and would let a second `File` or `Model` win over ours.
        plain = name.casefold()
        if plain in SpeechRequest.names():
            raise SpeechInvalid(f"{plain} is written in lower case.", param=name)
        if plain in NOT_FOR_SALE:
            raise SpeechInvalid(f"Not offered here: {NOT_FOR_SALE[plain]} ({plain}).", param=name)
        # The recording is priced, and no other file.
        if not isinstance(value, str) and not (isinstance(value, list) and all(isinstance(v, str) for v in value)):
            raise SpeechInvalid("Only one file is taken, under the name file.", param=name)
    if is_streamed(request) and request.response_format is not Form.JSON:
        raise SpeechInvalid("A stream tells its text as json.", param="response_format")
    if not request.file.content:
        raise SpeechInvalid("The recording is empty.", param="file")
    if len(request.file.content) > RECORDING_BYTES_MAX:
        raise SpeechInvalid(f"A recording has at most {RECORDING_BYTES_MAX} bytes.", param="file")


def file_name_of(request: SpeechRequest) -> str:
    """The name that the recording is sent under."""
    return request.file.name or "recording"


def is_streamed(request: SpeechRequest) -> bool:
    """Whether the text is wanted while it is written. Raise SpeechInvalid for what is neither yes nor no."""
    match (request.stream or "false").lower():
        case "true" | "1":
            return True
        case "false" | "0":
            return False
    raise SpeechInvalid("stream is true or false.", param="stream")


def is_told_as_written(model: Model) -> bool:
    """Whether the model's providers tell a text while they write it. The others are asked for it whole."""
    return Capability.STREAMING in model.capabilities


def quote_of(request: SpeechRequest, model: Model, price: Price) -> Quote:
    """The worst case: as long as a recording of so many bytes can be."""
    counts_max = {Unit.AUDIO_MS: duration.longest_ms(request.file.content, file_name_of(request))}
    return quote(price.rates(), counts_max, price_version=model.price_version)


def upstream_form(request: SpeechRequest, upstream_model: str, *, streamed: bool = False) -> AudioForm:
    """What the provider is sent: the client's own form under the provider's name for the model.

    Text and subtitles we make ourselves, out of what also tells how long the recording was.
    """
    asked = Form.VERBOSE_JSON if request.response_format in WITH_SEGMENTS else Form.JSON
    fields = [("response_format", asked.value), *([("stream", "true")] if streamed else [])]
    for name, value in request.others.items():
        fields += [(name, each) for each in (value if isinstance(value, list) else [value])]
    return AudioForm(
        model=upstream_model,
        file_name=file_name_of(request),
        content=request.file.content,
        media_type=request.file.media_type,
        fields=tuple(fields),
    )


def usage_of(answer: Mapping[str, Any], request: SpeechRequest) -> Usage:
    """What to charge for: the length that the provider reports when it can be one, else ours.

    Silence has been listened to as well: providers bill a recording by its length, whatever is said in it.
    """
    reported = duration.reported_ms(answer)
    if reported is not None:
        return Usage({Unit.AUDIO_MS: reported}, UsageSource.REPORTED)
    return usage_estimated(request, answer["text"])


def usage_estimated(request: SpeechRequest, text: str) -> Usage:
    """The length that the recording probably has, `text` being what was heard in it so far."""
    estimated = duration.usual_ms(request.file.content, file_name_of(request), text)
    return Usage({Unit.AUDIO_MS: estimated}, UsageSource.ESTIMATED)


def subtitles(answer: Mapping[str, Any], form: Form) -> str:
    """The segments as SRT or WebVTT. Raise ValueError when there are none that can be read."""
    segments = answer.get("segments")
    if not isinstance(segments, list):
        raise ValueError("the answer has no segments")
    blocks = [_block(number, segment, form) for number, segment in enumerate(segments, start=1)]
    return ("WEBVTT\n\n" if form is Form.VTT else "") + "\n".join(blocks)


def _block(number: int, segment: object, form: Form) -> str:
    told = segment if isinstance(segment, dict) else {}
    begins, ends, text = told.get("start"), told.get("end"), told.get("text")
    if not isinstance(begins, int | float) or not isinstance(ends, int | float) or not isinstance(text, str):
        raise ValueError("a segment tells no time or no text")
    mark = "." if form is Form.VTT else ","
    # A blank line would end the block.
    said = " ".join(text.split())
    lines = f"{_time(begins, mark)} --> {_time(ends, mark)}\n{said}\n"
    return lines if form is Form.VTT else f"{number}\n{lines}"


def _time(seconds: float, mark: str) -> str:
    try:
        ms = max(0, round(seconds * duration.MS_PER_S))
    except OverflowError:
        raise ValueError("a segment has no end") from None
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1_000 % 60:02}{mark}{ms % 1_000:03}"
