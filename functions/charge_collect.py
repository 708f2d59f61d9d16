"""Make the charges that could not be made when their answers were delivered. Called by Cloud Scheduler; repeatable."""

from shared.app import App
from shared.base.body import Body, Empty
from shared.web.auth import Caller
from shared.web.function import http_function


class ChargeCollectResponse(Body, frozen=True, kw_only=True):
    """What this run did. What is left is tried again by the next one."""

    collected: int
    left: int


@http_function(auth="service", scope="timer", answer=ChargeCollectResponse)
async def charge_collect(body: Empty, caller: Caller, app: App) -> ChargeCollectResponse:
    """Each charge is made once, under the key of its hold, however often it is tried."""
    report = await app.collector.run()
    return ChargeCollectResponse(collected=report.collected, left=report.left)
