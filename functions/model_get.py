"""Give one model that can be called here, with its price. Called by anyone; reads only."""

from shared.app import App
from shared.base.body import Body
from shared.catalog.errors import ModelUnpriced
from shared.catalog.listing import ListedModel, listed
from shared.web.auth import Caller
from shared.web.function import http_function


class ModelGetRequest(Body, frozen=True, kw_only=True):
    """Which model. Its id has slashes in it."""

    model: str


@http_function(
    auth="none",
    method="GET",
    body=ModelGetRequest,
    path_param="model",
    path_prefix="/v1/models/",
    answer=ListedModel,
)
async def model_get(body: ModelGetRequest, caller: Caller, app: App) -> ListedModel:
    """Raise ModelUnknown (404), also for a model that nobody here serves, or ModelUnpriced (400)."""
    await app.catalog.refresh()
    model = app.catalog.model(body.model)
    if model.price is None:
        raise ModelUnpriced(model.id)
    return listed(model, model.price)
