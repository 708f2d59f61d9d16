"""Finish closings of cards that had to wait for their calls. Called by Cloud Scheduler; a repeat finds what is left."""

from shared.app import App
from shared.base.body import Body, Empty
from shared.web.auth import Caller
from shared.web.function import http_function


class CardSweepResponse(Body, frozen=True, kw_only=True):
    """What this run did. `finished` is false when there were more cards than one run takes."""

    closed: int
    waiting: int
    returned_micros: int
    finished: bool


@http_function(auth="service", scope="timer", answer=CardSweepResponse)
async def card_sweep(body: Empty, caller: Caller, app: App) -> CardSweepResponse:
    """Raise CardsUnavailable (503). Cards whose calls are still under way wait for the next run."""
    report = await app.card_sweep.run()
    return CardSweepResponse(
        closed=report.closed,
        waiting=report.waiting,
        returned_micros=report.returned_micros,
        finished=report.finished,
    )
