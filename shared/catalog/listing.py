"""A model as lists of models tell it: OpenAI's four fields, OpenRouter's names where tools read them, and ours."""

import datetime

from shared.base.body import Body
from shared.base.micros import CREDIT_MICROS
from shared.catalog.models import Model, Price

DECIMALS_OF_CREDIT = len(str(CREDIT_MICROS)) - 1
DECIMALS_OF_MILLION = 6


class ListedPrice(Body, frozen=True, kw_only=True):
    """Ours: micros of a credit per million tokens, per image, per second. OpenRouter's: credits for one, as text."""

    prompt_micros_per_mtok: int | None
    cached_micros_per_mtok: int | None
    cache_write_micros_per_mtok: int | None
    cache_write_long_micros_per_mtok: int | None
    completion_micros_per_mtok: int | None
    image_micros: int | None
    audio_second_micros: int | None
    video_second_micros: int | None
    sure: bool
    prompt: str
    completion: str
    image: str
    request: str = "0"
    input_cache_read: str
    input_cache_write: str


class ListedModel(Body, frozen=True, kw_only=True):
    """One model."""

    id: str
    object: str = "model"
    created: int
    owned_by: str
    name: str
    modality: str
    capabilities: list[str]
    context_length: int
    output_tokens_max: int | None
    """None where the answer is not text of a chosen length."""
    pricing: ListedPrice
    price_version: str
    pooling: bool
    pooling_reason: str


def listed(model: Model, price: Price) -> ListedModel:
    """The model as it is listed, at a price of its own."""
    added = datetime.datetime.fromisoformat(model.added).replace(tzinfo=datetime.UTC)
    return ListedModel(
        id=model.id,
        created=int(added.timestamp()),
        owned_by=model.id.partition("/")[0],
        name=model.name,
        modality=model.modality.value,
        capabilities=sorted(model.capabilities),
        context_length=model.context_tokens,
        output_tokens_max=model.output_tokens_max or None,
        pricing=_listed_price(price),
        price_version=model.price_version,
        pooling=model.pooling,
        pooling_reason=model.pooling_reason,
    )


def _listed_price(price: Price) -> ListedPrice:
    prompt = price.prompt_micros_per_mtok
    return ListedPrice(
        prompt_micros_per_mtok=prompt,
        cached_micros_per_mtok=price.cached_micros_per_mtok,
        cache_write_micros_per_mtok=price.cache_write_micros_per_mtok,
        cache_write_long_micros_per_mtok=price.cache_write_long_micros_per_mtok,
        completion_micros_per_mtok=price.completion_micros_per_mtok,
        image_micros=price.image_micros,
        audio_second_micros=price.audio_second_micros,
        video_second_micros=price.video_second_micros,
        sure=price.sure,
        prompt=credits_text(prompt, DECIMALS_OF_CREDIT + DECIMALS_OF_MILLION),
        completion=credits_text(price.completion_micros_per_mtok, DECIMALS_OF_CREDIT + DECIMALS_OF_MILLION),
        image=credits_text(price.image_micros, DECIMALS_OF_CREDIT),
        # Without a price of its own, a part of a prompt costs what the rest of it does.
        input_cache_read=credits_text(price.cached_micros_per_mtok or prompt, DECIMALS_OF_CREDIT + DECIMALS_OF_MILLION),
        input_cache_write=credits_text(
            price.cache_write_micros_per_mtok or prompt, DECIMALS_OF_CREDIT + DECIMALS_OF_MILLION
        ),
    )


def credits_text(amount: int | None, decimals: int) -> str:
    """`amount` with its point moved by `decimals`, exact and without trailing zeros; "0" for what is not sold."""
    whole, fraction = divmod(amount or 0, 10**decimals)
    return f"{whole}.{fraction:0{decimals}d}".rstrip("0").rstrip(".")
