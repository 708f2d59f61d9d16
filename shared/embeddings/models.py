"""A request for embeddings as OpenAI's clients send it."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from shared.base.body import ForeignBody

INPUTS_MAX = 2_048
"""As many as OpenAI takes in one request."""
DIMENSIONS_MAX = 65_536


class EmbeddingRequest(ForeignBody, frozen=True, kw_only=True):
    """The fields we read. All others are passed on as they are, except those `rules.check` names."""

    model: Annotated[str, Meta(min_length=1, max_length=200)]
    input: str | list[Any]
    """A text, texts, the tokens of a text, or those of several."""
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Meta(ge=1, le=DIMENSIONS_MAX)] | None = None
