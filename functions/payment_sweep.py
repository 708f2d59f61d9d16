"""Have payment events looked at whose task was given up. Called by Cloud Scheduler; a repeat finds what is left.

An event that is not looked at after four more tries is put before a person.
"""

from shared.app import App
from shared.base.body import Body, Empty
from shared.web.auth import Caller
from shared.web.function import http_function


class PaymentSweepResponse(Body, frozen=True, kw_only=True):
    """What this run did. `finished` is false when more events waited than one run takes."""

    posted: int
    given_up: int
    finished: bool


@http_function(auth="service", scope="timer", answer=PaymentSweepResponse)
async def payment_sweep(body: Empty, caller: Caller, app: App) -> PaymentSweepResponse:
    """Raise PaymentsUnavailable or TasksUnavailable (503)."""
    done = await app.payment_sweep.run()
    return PaymentSweepResponse(posted=done.posted, given_up=done.given_up, finished=done.finished)
