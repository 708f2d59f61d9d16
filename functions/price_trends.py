"""Tell how demand moved a model's price: the hours of a week or the days of four. Called by programs; reads only."""

from typing import Literal

from shared.app import App
from shared.base.body import Body
from shared.pricing.shapes import ModelIdText
from shared.web.auth import Caller
from shared.web.function import http_function


class PriceTrendsRequest(Body, frozen=True, kw_only=True):
    """Which model, and how fine."""

    model_id: ModelIdText
    per: Literal["hour", "day"] = "hour"


class TrendPoint(Body, frozen=True, kw_only=True):
    """The multipliers of the time that begins at `start_s` (seconds since 1970), in millionths."""

    start_s: int
    low_ppm: int
    mean_ppm: int
    high_ppm: int


class PriceTrendsResponse(Body, frozen=True, kw_only=True):
    """Oldest first. An hour is told once it is over; one in which nothing was recorded is left out."""

    model: str
    per: Literal["hour", "day"]
    points: list[TrendPoint]


@http_function(
    auth="user",
    method="GET",
    body=PriceTrendsRequest,
    path_param="model_id",
    path_prefix="/v1/price-trends/",
    answer=PriceTrendsResponse,
)
async def price_trends(body: PriceTrendsRequest, caller: Caller, app: App) -> PriceTrendsResponse:
    """Raise PriceHistoryAbsent (404) when nothing was recorded."""
    points = await app.price_history.trend(body.model_id, body.per)
    return PriceTrendsResponse(
        model=body.model_id,
        per=body.per,
        points=[
            TrendPoint(start_s=one.start_s, low_ppm=one.low_ppm, mean_ppm=one.mean_ppm, high_ppm=one.high_ppm)
            for one in points
        ],
    )
