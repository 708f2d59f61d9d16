"""What a model is to us: what it can do, what it costs, and which providers serve it."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from shared.base.body import Body
from shared.base.units import UNITS_PER_RATE, Unit

Positive = Annotated[int, Meta(gt=0)]
MS_PER_S = 1_000
Count = Annotated[int, Meta(ge=0)]


class Modality(StrEnum):
    """What kind of call a model answers."""

    TEXT = "text"
    VISION = "vision"
    IMAGE = "image"
    EMBEDDING = "embedding"


CHAT_MODALITIES = frozenset({Modality.TEXT, Modality.VISION})


class Price(Body, frozen=True, kw_only=True):
    """What a model costs, in micros. A kind of unit without a price cannot be bought."""

    prompt_micros_per_mtok: Positive | None = None
    cached_micros_per_mtok: Positive | None = None
    cache_write_micros_per_mtok: Positive | None = None
    cache_write_long_micros_per_mtok: Positive | None = None
    completion_micros_per_mtok: Positive | None = None
    image_micros: Positive | None = None
    audio_second_micros: Positive | None = None
    sure: bool = True
    """False where the provider's price could not be checked when the entry was written."""

    def rates(self) -> dict[Unit, int]:
        """The prices that there are, in micros for a million units."""
        image, second = self.image_micros, self.audio_second_micros
        rates = {
            Unit.PROMPT_TOKEN: self.prompt_micros_per_mtok,
            Unit.CACHED_TOKEN: self.cached_micros_per_mtok,
            Unit.CACHE_WRITE_TOKEN: self.cache_write_micros_per_mtok,
            Unit.CACHE_WRITE_LONG_TOKEN: self.cache_write_long_micros_per_mtok,
            Unit.COMPLETION_TOKEN: self.completion_micros_per_mtok,
            Unit.IMAGE: image and image * UNITS_PER_RATE,
            Unit.AUDIO_MS: second and second * UNITS_PER_RATE // MS_PER_S,
        }
        return {unit: rate for unit, rate in rates.items() if rate is not None}


class Route(Body, frozen=True, kw_only=True):
    """One provider that serves a model, under the provider's own name for it."""

    provider: str
    model: str


class Model(Body, frozen=True, kw_only=True):
    """One row of the catalog."""

    id: str
    name: str
    modality: Modality
    context_tokens: Positive
    output_tokens_max: Count = 0
    image_tokens_max: Count = 0
    """The most prompt tokens that one image can cost, whatever its size."""
    capabilities: frozenset[str] = frozenset()
    price: Price | None = None
    routes: tuple[Route, ...]
    added: str
    """The day the row was added, as YYYY-MM-DD; the models list reports it as `created`."""
    pooling: bool = False
    pooling_reason: str = "No provider's terms that allow sharing a key for this model have been checked."

    def __post_init__(self) -> None:
        """What has no bound cannot be held: an uncapped answer, or a picture that counts for nothing."""
        if self.modality in CHAT_MODALITIES and not self.output_tokens_max:
            raise ValueError("a model that chats states its output_tokens_max")
        if self.modality is Modality.VISION and not self.image_tokens_max:
            raise ValueError("a model that sees states its image_tokens_max")
