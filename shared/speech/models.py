"""A request for a transcription as OpenAI's clients send it, and its answer."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta, Struct

from shared.base.body import ForeignBody, Upload


class Form(StrEnum):
    """In which form the text is answered."""

    JSON = "json"
    TEXT = "text"
    VERBOSE_JSON = "verbose_json"
    SRT = "srt"
    VTT = "vtt"


class SpeechRequest(ForeignBody, frozen=True, kw_only=True):
    """The fields we read. All others are passed on as they are, except those `rules.check` names."""

    model: Annotated[str, Meta(min_length=1, max_length=200)]
    file: Upload
    response_format: Form = Form.JSON
    stream: str | None = None


class Transcribed(Struct, frozen=True):
    """An answer: an object, or text in the form that was asked for; and headers that tell the charge and the route."""

    body: dict[str, Any] | str
    media_type: str
    headers: Mapping[str, str]
