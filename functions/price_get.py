"""Tell what a model costs now: its price in the catalog, times the demand. Called by programs; reads only."""

from shared.app import App
from shared.base.body import Body
from shared.pricing.shapes import ModelIdText
from shared.web.auth import Caller
from shared.web.function import http_function


class PriceGetRequest(Body, frozen=True, kw_only=True):
    """Which model. Its id has slashes in it."""

    model_id: ModelIdText


class PriceOfUnit(Body, frozen=True, kw_only=True):
    """Micros for a million units: tokens, images, milliseconds of audio."""

    unit: str
    catalog_micros: int
    effective_micros: int


class PriceGetResponse(Body, frozen=True, kw_only=True):
    """`demand_ppm` is what the catalog's price is multiplied by, in millionths. Times are seconds since 1970.

    A call is charged by the multiplier of the moment it is quoted; a process that sells may learn of a new one up to a
    minute late.
    """

    model: str
    demand_ppm: int
    since_s: int
    counted_until_s: int
    units: list[PriceOfUnit]


@http_function(
    auth="user",
    method="GET",
    body=PriceGetRequest,
    path_param="model_id",
    path_prefix="/v1/prices/",
    answer=PriceGetResponse,
)
async def price_get(body: PriceGetRequest, caller: Caller, app: App) -> PriceGetResponse:
    """Raise ModelUnknown (404). Where no demand is known, the price is the catalog's."""
    price = await app.prices.now(body.model_id)
    return PriceGetResponse(
        model=price.model_id,
        demand_ppm=price.multiplier.demand_ppm,
        since_s=price.multiplier.since_s,
        counted_until_s=price.counted_until_s,
        units=[
            PriceOfUnit(unit=one.unit.value, catalog_micros=one.catalog_micros, effective_micros=one.effective_micros)
            for one in price.units
        ],
    )
