"""List the models that can be called here, in OpenAI's shape with prices. Called by anyone; reads only."""

from shared.app import App
from shared.base.body import Body, Empty
from shared.catalog.listing import ListedModel, listed
from shared.web.auth import Caller
from shared.web.function import http_function


class ModelListResponse(Body, frozen=True, kw_only=True):
    """OpenAI's list."""

    object: str = "list"
    data: list[ListedModel]


@http_function(auth="none", method="GET", answer=ModelListResponse)
async def model_list(body: Empty, caller: Caller, app: App) -> ModelListResponse:
    """A model that is disabled or none of whose providers is configured is left out, and so is one without a price.

    `modality` says what kind of call a model answers. Prices are those of the next call, or were a minute ago.
    """
    await app.catalog.refresh()
    return ModelListResponse(
        data=[listed(model, model.price) for model in app.catalog.available() if model.price is not None]
    )
