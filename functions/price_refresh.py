"""Renew the demand multipliers from what was sold. Called by Cloud Scheduler; a repeat counts no window twice."""

from shared.app import App
from shared.base.body import Body, Empty
from shared.web.auth import Caller
from shared.web.function import http_function


class PriceRefreshResponse(Body, frozen=True, kw_only=True):
    """What this run did. `finished` is false when another run went on from the same place at the same time."""

    windows: int
    sales: int
    models: int
    finished: bool


@http_function(auth="service", scope="timer", answer=PriceRefreshResponse)
async def price_refresh(body: Empty, caller: Caller, app: App) -> PriceRefreshResponse:
    """Raise PricesUnavailable (503). What was not counted is left to the next run; until then prices stay."""
    report = await app.price_refresh.run()
    return PriceRefreshResponse(
        windows=report.windows, sales=report.sales, models=report.models, finished=report.finished
    )
