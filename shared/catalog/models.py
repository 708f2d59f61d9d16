"""What a model is to us: what it can do, what it costs, and which providers serve it."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from shared.base.body import LAST, Body
from shared.base.units import UNITS_PER_RATE, Unit

PRICE_MICROS_MAX = 10**12
"""A million credits for one image, or for a million tokens: dearer is a slip of the hand. Sums stay far below 2^63."""
TOKENS_MAX = 10**8
"""No model has a longer context; a larger number is a slip of the hand."""
MS_PER_S = 1_000

Micros = Annotated[int, Meta(gt=0, le=PRICE_MICROS_MAX)]
Positive = Annotated[int, Meta(gt=0, le=TOKENS_MAX)]
Count = Annotated[int, Meta(ge=0, le=TOKENS_MAX)]
_PART = r"[A-Za-z0-9][A-Za-z0-9._:-]*"
ModelName = Annotated[str, Meta(min_length=1, max_length=200, pattern=rf"^{_PART}(/{_PART}){{0,2}}{LAST}")]
"""A maker and a model, as providers write them; what cannot stand in a path of a URL or of Firestore is no name."""
Line = Annotated[str, Meta(min_length=1, max_length=200)]
Day = Annotated[str, Meta(pattern=rf"^20\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01]){LAST}")]


class Modality(StrEnum):
    """What kind of call a model answers."""

    TEXT = "text"
    VISION = "vision"
    """Text, about text and images."""
    IMAGE = "image"
    EMBEDDING = "embedding"
    SPEECH = "speech"
    """Text, recognised in speech."""
    VIDEO = "video"


CHAT_MODALITIES = frozenset({Modality.TEXT, Modality.VISION})


class Capability(StrEnum):
    """What a model can do beside its modality."""

    TOOLS = "tools"
    JSON = "json"
    """It can be held to some JSON object."""
    JSON_SCHEMA = "json_schema"
    """It can be held to a schema."""
    VISION = "vision"
    REASONING = "reasoning"
    """It thinks before it answers, and what it thinks is charged as output."""
    STREAMING = "streaming"


class Price(Body, frozen=True, kw_only=True):
    """What a model costs, in micros. A kind of unit without a price cannot be bought."""

    prompt_micros_per_mtok: Micros | None = None
    cached_micros_per_mtok: Micros | None = None
    cache_write_micros_per_mtok: Micros | None = None
    cache_write_long_micros_per_mtok: Micros | None = None
    completion_micros_per_mtok: Micros | None = None
    image_micros: Micros | None = None
    audio_second_micros: Micros | None = None
    video_second_micros: Micros | None = None
    sure: bool = True
    """False where the provider's price could not be checked when the entry was written."""

    def rates(self) -> dict[Unit, int]:
        """The prices that there are, in micros for a million units."""
        image, second, filmed = self.image_micros, self.audio_second_micros, self.video_second_micros
        rates = {
            Unit.PROMPT_TOKEN: self.prompt_micros_per_mtok,
            Unit.CACHED_TOKEN: self.cached_micros_per_mtok,
            Unit.CACHE_WRITE_TOKEN: self.cache_write_micros_per_mtok,
            Unit.CACHE_WRITE_LONG_TOKEN: self.cache_write_long_micros_per_mtok,
            Unit.COMPLETION_TOKEN: self.completion_micros_per_mtok,
            Unit.IMAGE: image and image * UNITS_PER_RATE,
            Unit.AUDIO_MS: second and second * UNITS_PER_RATE // MS_PER_S,
            Unit.VIDEO_MS: filmed and filmed * UNITS_PER_RATE // MS_PER_S,
        }
        return {unit: rate for unit, rate in rates.items() if rate is not None}


class Route(Body, frozen=True, kw_only=True):
    """One provider that serves a model, under the provider's own name for it."""

    provider: Line
    model: Line
    lacks: frozenset[Capability] = frozenset()
    """Capabilities of the model that this provider does not offer."""
    cost_ppm: Positive | None = None
    """What the provider asks of us, in millionths of the model's price, where that is known."""


SOLD_BY: dict[Modality, tuple[str, ...]] = {
    Modality.TEXT: ("prompt_micros_per_mtok", "completion_micros_per_mtok"),
    Modality.VISION: ("prompt_micros_per_mtok", "completion_micros_per_mtok"),
    Modality.IMAGE: ("image_micros",),
    Modality.EMBEDDING: ("prompt_micros_per_mtok",),
    Modality.SPEECH: ("audio_second_micros",),
    Modality.VIDEO: ("video_second_micros",),
}
"""The prices without which a model of a modality would have a free side."""


class Model(Body, frozen=True, kw_only=True):
    """One row of the catalog."""

    id: ModelName
    name: Line
    modality: Modality
    context_tokens: Positive
    """The most that a prompt and its answer can be together, as the provider has it: holds are bounded by it."""
    output_tokens_max: Count = 0
    image_tokens_max: Count = 0
    """The most prompt tokens that one image can cost, whatever its size."""
    dimensions: Count = 0
    """How many numbers an embedding of it has at most; 0 where that is not known."""
    video_seconds: tuple[Positive, ...] = ()
    """The lengths of the videos that it makes; empty where any length may be asked for."""
    capabilities: frozenset[Capability] = frozenset()
    price: Price | None = None
    price_version: str = ""
    """Names this price on receipts: a number of `models/{id}/versions`, or a digest of the file's own price."""
    routes: tuple[Route, ...]
    added: Day
    """The day the row was added, as YYYY-MM-DD; the models list reports it as `created`."""
    enabled: bool = True
    pooling: bool = False
    pooling_reason: str = "No provider's terms that allow sharing a key for this model have been checked."

    def __post_init__(self) -> None:
        """What has no bound cannot be held, and what has half a price would be half free: such a row is none."""
        for fault in _faults(self):
            raise ValueError(fault)


def _faults(model: Model) -> Iterator[str]:
    if model.modality in CHAT_MODALITIES and not model.output_tokens_max:
        yield "a model that chats states its output_tokens_max"
    if model.output_tokens_max > model.context_tokens:
        yield "an answer cannot be longer than the context_tokens"
    if model.modality is Modality.VISION and not model.image_tokens_max:
        yield "a model that sees states its image_tokens_max"
    if model.price is not None:
        yield from _faults_of_price(model.modality, model.price)
    if model.video_seconds and model.modality is not Modality.VIDEO:
        yield "only a model that films states its video_seconds"
    if len({route.provider for route in model.routes}) < len(model.routes):
        yield "each route goes to another provider"


def _faults_of_price(modality: Modality, price: Price) -> Iterator[str]:
    missing = [name for name in SOLD_BY[modality] if getattr(price, name) is None]
    if missing:
        yield f"a model of modality {modality.value} has a price for {', '.join(missing)}"
    cached, prompt = price.cached_micros_per_mtok, price.prompt_micros_per_mtok
    if cached is not None and (prompt is None or cached > prompt):
        yield "a token read from a cache costs no more than any other"
