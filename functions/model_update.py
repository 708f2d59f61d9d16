"""Change a model's price, or whether it is sold. Called by operators' services; a repeat answers the same.

Each change is a new version, which receipts of later calls name. Gateways sell at it within a minute.
"""

from typing import Annotated

from msgspec import Meta

from shared.app import App
from shared.base.body import Body, ShortText
from shared.base.errors import BadRequest
from shared.catalog.editor import Change
from shared.catalog.models import ModelName, Price
from shared.catalog.rules import VERSIONS_MAX
from shared.web.auth import Caller
from shared.web.function import http_function


class ModelUpdateRequest(Body, frozen=True, kw_only=True):
    """What to change, and of which version. A price is replaced whole: a kind that is left out is no longer sold."""

    model: ModelName
    expected_version: Annotated[int, Meta(ge=0, le=VERSIONS_MAX)]
    """The version that the operator decided on, as `models/{id}` says; 0 where there is none."""
    price: Price | None = None
    enabled: bool | None = None
    reason: ShortText


class ModelUpdateResponse(Body, frozen=True, kw_only=True):
    """The version that the change made."""

    model: str
    version: int
    price_version: str
    price: Price
    enabled: bool
    repeated: bool


@http_function(auth="service", scope="catalog:write", body=ModelUpdateRequest, answer=ModelUpdateResponse)
async def model_update(body: ModelUpdateRequest, caller: Caller, app: App) -> ModelUpdateResponse:
    """Raise ModelUnknown (404), VersionConflict or CatalogUnreadable (409), or ChangeInvalid (400)."""
    if body.price is None and body.enabled is None:
        raise BadRequest("Give a price, or say whether the model is enabled.")
    change = Change(
        price=body.price,
        enabled=body.enabled,
        expected_version=body.expected_version,
        by=caller.name,
        why=body.reason,
    )
    changed = await app.catalog_editor.change(app.catalog.row(body.model), change)
    version = changed.version
    return ModelUpdateResponse(
        model=version.model_id,
        version=version.version,
        price_version=version.price_version,
        price=version.price,
        enabled=version.enabled,
        repeated=changed.repeated,
    )
