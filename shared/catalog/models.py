"""What a model is to us: what it can do, what it costs, and which providers serve it."""

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Modality(StrEnum):
    """What kind of call a model answers."""

    TEXT = "text"
    VISION = "vision"
    IMAGE = "image"
    EMBEDDING = "embedding"


CHAT_MODALITIES = frozenset({Modality.TEXT, Modality.VISION})


class Price(_Value):
    """What a model costs, in micros. A kind of unit without a price cannot be bought."""

    prompt_micros_per_mtok: int | None = Field(default=None, gt=0)
    completion_micros_per_mtok: int | None = Field(default=None, gt=0)
    image_micros: int | None = Field(default=None, gt=0)
    sure: bool = True
    """False where the provider's price could not be checked when the entry was written."""


class Route(_Value):
    """One provider that serves a model, under the provider's own name for it."""

    provider: str
    model: str


class Model(_Value):
    """One row of the catalog."""

    id: str
    name: str
    modality: Modality
    context_tokens: int = Field(gt=0)
    output_tokens_max: int = Field(default=0, ge=0)
    image_tokens_max: int = Field(default=0, ge=0)
    """The most prompt tokens that one image can cost, whatever its size."""
    capabilities: frozenset[str] = frozenset()
    price: Price | None = None
    routes: tuple[Route, ...]
    added: str
    """The day the row was added, as YYYY-MM-DD; the models list reports it as `created`."""
    pooling: bool = False
    pooling_reason: str = "No provider's terms that allow sharing a key for this model have been checked."

    @model_validator(mode="after")
    def _require_bounds(self) -> Self:
        """What has no bound cannot be held: an uncapped answer, or a picture that counts for nothing."""
        if self.modality in CHAT_MODALITIES and not self.output_tokens_max:
            raise ValueError("a model that chats states its output_tokens_max")
        if self.modality is Modality.VISION and not self.image_tokens_max:
            raise ValueError("a model that sees states its image_tokens_max")
        return self
