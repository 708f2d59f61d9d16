"""A provider as this process knows it, what is sent to one, and what comes back."""

from enum import StrEnum
from typing import Any

from msgspec import Struct

from shared.base.secret import Secret

ANSWER_BYTES_MAX = 32 * 1024 * 1024
"""Of an answer that is given whole: as much as Cloud Run lets a function answer in one piece."""
RECORDING_BYTES_MAX = 25 * 1024 * 1024
"""OpenAI takes no longer file, and others of its wire no longer one either."""


class DisconnectPolicy(StrEnum):
    """What we do with a provider's answer, and charge, when the client leaves before its end."""

    DRAIN = "drain"
    """The provider bills the whole answer anyway: read on, charge what it reports."""
    ESTIMATE = "estimate"
    """It stops when we do and reports nothing: charge for the prompt and what came of a stream, counted by us."""
    FREE = "free"
    """The provider does not bill an abandoned answer: charge nothing."""


class Wire(StrEnum):
    """The format that a provider speaks. Callers speak OpenAI's; the others are translated to and from it."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GOOGLE = "google"


class Provider(Struct, frozen=True):
    """An endpoint and the key that opens it."""

    name: str
    base_url: str
    key: Secret
    disconnect: DisconnectPolicy
    """Of an answer that is streamed."""
    wire: Wire = Wire.OPENAI
    disconnect_whole: DisconnectPolicy = DisconnectPolicy.DRAIN
    """Of one that is asked for whole. Nothing tells how much of it was written when we leave, so it is read to its end
    wherever a provider may bill it."""
    guarded: bool = False
    """Its address was given by somebody who might mean us harm: only public https addresses are called."""
    inside: bool = False
    """It stands where addresses lead to what only the inside may read, so it is sent no address that a client chose."""
    renamed: tuple[tuple[str, str], ...] = ()
    """Fields of OpenAI's wire that this provider knows under another name."""
    unknown: frozenset[str] = frozenset()
    """Fields that we send of our own accord and that this provider would refuse the request for."""
    lent_only: bool = False
    """The platform has no key of its own for it: it is asked with contributed keys or not at all."""
    splits_size: bool = False
    """It takes a picture's width and height as two fields, and no size."""


class Call(Struct, frozen=True):
    """One call of a provider: with which key, and how long it may take."""

    provider: Provider
    key: Secret
    timeout_s: float
    silence_s: float
    """How long the provider may say nothing meanwhile."""


class AudioForm(Struct, frozen=True, kw_only=True):
    """A recording to be written down, and the fields that go with it in the form."""

    model: str
    file_name: str
    content: bytes
    media_type: str
    fields: tuple[tuple[str, str], ...] = ()
    """In order; a name may come more than once, as `timestamp_granularities[]` does."""


class VideoState(StrEnum):
    """How far a provider is with a video."""

    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"


class Video(Struct, frozen=True):
    """A video that a provider was asked for, as it says itself."""

    video_id: str
    state: VideoState
    percent: int = 0
    reason: str = ""
    """Why it failed, in the provider's words."""


class StreamEvent(Struct, frozen=True):
    """One server-sent event: its bytes as they came, and what they say.

    `data` is None for `[DONE]`, and KNOWN for an event that whoever reads the stream knows and had no need of parsed.
    """

    raw: bytes
    data: dict[str, Any] | None


KNOWN: dict[str, Any] = {}
