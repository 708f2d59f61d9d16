"""A request for pictures as OpenAI's clients send it."""

from typing import Annotated, Literal

from msgspec import Meta

from shared.base.body import ForeignBody

IMAGES_MAX = 10
"""As many as OpenAI makes in one request."""
PARTIAL_IMAGES_MAX = 3
"""As many as OpenAI shows of one picture. It asks so little for them that the price of the picture covers them."""


class ImageRequest(ForeignBody, frozen=True, kw_only=True):
    """The fields we read. Others that `rules.KNOWN` has are passed on as they are; any else is refused."""

    model: Annotated[str, Meta(min_length=1, max_length=200)]
    prompt: Annotated[str, Meta(min_length=1)]
    n: Annotated[int, Meta(ge=1, le=IMAGES_MAX)] | None = None
    size: Annotated[str, Meta(max_length=20)] | None = None
    quality: Annotated[str, Meta(max_length=20)] | None = None
    response_format: Literal["b64_json", "url"] | None = None
    stream: bool | None = None
    background: bool | Annotated[str, Meta(max_length=20)] | None = None
    """True for a job that is answered at once and painted later. A text is OpenAI's own field, passed on: what is
    behind the picture."""
    partial_images: Annotated[int, Meta(ge=0, le=PARTIAL_IMAGES_MAX)] | None = None
