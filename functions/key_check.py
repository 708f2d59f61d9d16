"""Have contributed keys tried again that are due, and take back advances of keys that are over. Called by Cloud
Scheduler; a repeat finds what is left."""

from shared.app import App
from shared.base.body import Body, Empty
from shared.web.auth import Caller
from shared.web.function import http_function


class KeyCheckResponse(Body, frozen=True, kw_only=True):
    """What this run did. `finished` is false when there were more keys than one run takes."""

    posted: int
    returned: int
    finished: bool


@http_function(auth="service", scope="timer", answer=KeyCheckResponse)
async def key_check(body: Empty, caller: Caller, app: App) -> KeyCheckResponse:
    """Raise ContributionsUnavailable, TasksUnavailable or LedgerUnavailable (503)."""
    report = await app.key_care.run()
    return KeyCheckResponse(posted=report.posted, returned=report.returned, finished=report.finished)
