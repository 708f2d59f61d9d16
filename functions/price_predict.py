"""Forecast the next day's cheapest hour for a model, or say that there is none. Called by programs; reads only."""

from typing import Literal

from shared.app import App
from shared.base.body import Body
from shared.pricing.models import Forecast
from shared.pricing.shapes import ModelIdText
from shared.web.auth import Caller
from shared.web.function import http_function


class PricePredictRequest(Body, frozen=True, kw_only=True):
    """Which model. Its id has slashes in it."""

    model_id: ModelIdText


class HourForecast(Body, frozen=True, kw_only=True):
    """The multiplier expected in the hour that begins at `start_s` (seconds since 1970), in millionths."""

    start_s: int
    demand_ppm: int


class ForecastErrors(Body, frozen=True, kw_only=True):
    """How far off forecasts of the weeks that are known would have been, in millionths, beside two guesses."""

    ours_ppm: int
    same_as_now_ppm: int
    mean_ppm: int


class PricePredictResponse(Body, frozen=True, kw_only=True):
    """With confidence `none` there is no forecast: too few days were seen, or forecasts were no better than guesses."""

    model: str
    days_seen: int
    confidence: Literal["none", "low", "high"]
    best: HourForecast | None
    hours: list[HourForecast]
    errors: ForecastErrors | None


@http_function(
    auth="user",
    method="GET",
    body=PricePredictRequest,
    path_param="model_id",
    path_prefix="/v1/price-predictions/",
    answer=PricePredictResponse,
)
async def price_predict(body: PricePredictRequest, caller: Caller, app: App) -> PricePredictResponse:
    """Raise PriceHistoryAbsent (404) when nothing was recorded."""
    expected = await app.price_history.forecast(body.model_id)
    best = expected.best
    return PricePredictResponse(
        model=body.model_id,
        days_seen=expected.days_seen,
        confidence=expected.confidence.value,
        best=HourForecast(start_s=best[0], demand_ppm=best[1]) if best else None,
        hours=[HourForecast(start_s=start_s, demand_ppm=demand_ppm) for start_s, demand_ppm in expected.hours],
        errors=_told(expected),
    )


def _told(expected: Forecast) -> ForecastErrors | None:
    errors = expected.errors
    if errors is None:
        return None
    return ForecastErrors(
        ours_ppm=round(errors.ours_ppm),
        same_as_now_ppm=round(errors.same_as_now_ppm),
        mean_ppm=round(errors.mean_ppm),
    )
