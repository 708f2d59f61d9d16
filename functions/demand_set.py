"""Set by hand what a model's price is multiplied by, for some time, or leave it to demand again. Called by operators'
services; a repeat answers the same.

It has the bounds of what follows demand, and gateways sell at it within a minute; a call keeps what it was quoted.
"""

from typing import Annotated

from msgspec import Meta

from shared.app import App
from shared.base.body import Body, IdempotencyKey, ShortText
from shared.base.economy import DEMAND_PPM_MAX, DEMAND_PPM_MIN
from shared.catalog.models import ModelName
from shared.web.auth import Caller
from shared.web.function import http_function

LASTS_S_MIN = 300
"""One refresh: shorter ones would be over before every process had heard of them."""
LASTS_S_MAX = 7 * 86_400
"""Whoever wants another price for longer changes the catalog's."""


class DemandSetRequest(Body, frozen=True, kw_only=True):
    """Which model's multiplier, in millionths, and for how long. Null clears what was set before."""

    model: ModelName
    demand_ppm: Annotated[int, Meta(ge=DEMAND_PPM_MIN, le=DEMAND_PPM_MAX)] | None
    lasts_s: Annotated[int, Meta(ge=LASTS_S_MIN, le=LASTS_S_MAX)] = 3_600
    reason: ShortText
    idempotency_key: IdempotencyKey


class DemandSetResponse(Body, frozen=True, kw_only=True):
    """The order as it stands on the record. Times are seconds since 1970."""

    model: str
    demand_ppm: int | None
    since_s: int
    until_s: int


@http_function(auth="service", scope="catalog:write", body=DemandSetRequest, answer=DemandSetResponse)
async def demand_set(body: DemandSetRequest, caller: Caller, app: App) -> DemandSetResponse:
    """Raise ModelUnknown (404), OrderReused (409), PricesBusy or PricesUnavailable (503)."""
    model = app.catalog.row(body.model)
    made = await app.price_overrides.order(
        model.id,
        body.demand_ppm,
        lasts_s=body.lasts_s,
        by=caller.name,
        why=body.reason,
        key=body.idempotency_key,
    )
    return DemandSetResponse(
        model=made.model_id,
        demand_ppm=made.demand_ppm,
        since_s=made.since_s,
        until_s=made.since_s if made.demand_ppm is None else made.since_s + made.lasts_s,
    )
