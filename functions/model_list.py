"""List the models that can be called here, in OpenAI's shape with prices. Called by anyone; reads only."""

import datetime

from shared.app import App
from shared.base.body import Body, Empty
from shared.catalog.models import Model, Price
from shared.web.auth import Caller
from shared.web.function import http_function


class ModelPrice(Body, frozen=True, kw_only=True):
    """Micros of a credit per million tokens, or per image."""

    prompt_micros_per_mtok: int | None
    completion_micros_per_mtok: int | None
    image_micros: int | None


class ListedModel(Body, frozen=True, kw_only=True):
    """OpenAI's four fields and ours."""

    id: str
    object: str = "model"
    created: int
    owned_by: str
    name: str
    modality: str
    capabilities: list[str]
    context_length: int
    pricing: ModelPrice


class ModelListResponse(Body, frozen=True, kw_only=True):
    """OpenAI's list."""

    object: str = "list"
    data: list[ListedModel]


@http_function(auth="none", method="GET", answer=ModelListResponse)
async def model_list(body: Empty, caller: Caller, app: App) -> ModelListResponse:
    """A model none of whose providers is configured is left out, and so is one without a price.

    `modality` says what kind of call a model answers; so far only those of text and vision have a function.
    """
    return ModelListResponse(
        data=[_listed(model, model.price) for model in app.catalog.available() if model.price is not None]
    )


def _listed(model: Model, price: Price) -> ListedModel:
    added = datetime.datetime.fromisoformat(model.added).replace(tzinfo=datetime.UTC)
    return ListedModel(
        id=model.id,
        created=int(added.timestamp()),
        owned_by=model.id.partition("/")[0],
        name=model.name,
        modality=model.modality.value,
        capabilities=sorted(model.capabilities),
        context_length=model.context_tokens,
        pricing=ModelPrice(
            prompt_micros_per_mtok=price.prompt_micros_per_mtok,
            completion_micros_per_mtok=price.completion_micros_per_mtok,
            image_micros=price.image_micros,
        ),
    )
