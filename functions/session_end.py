"""End one of the caller's sessions: its key is refused, and what is left goes back. Called by apps; repeat it freely.

While calls of it are under way, `status` is `closing`: a repeat, or the timer, does the rest.
"""

from shared.app import App
from shared.base.body import Body
from shared.cards.models import CardId
from shared.pools.shapes import SessionIdText, SessionView, session_shown
from shared.web.auth import Caller
from shared.web.function import http_function


class SessionEndRequest(Body, frozen=True, kw_only=True):
    """Which session."""

    session_id: SessionIdText


class SessionEndResponse(Body, frozen=True, kw_only=True):
    """What this call returned, and what is not back yet."""

    session: SessionView
    returned_micros: int
    held_micros: int


@http_function(
    auth="user_now", body=SessionEndRequest, path_param="session_id", path_suffix="/end", answer=SessionEndResponse
)
async def session_end(body: SessionEndRequest, caller: Caller, app: App) -> SessionEndResponse:
    """Raise CardAbsent (404), AccountInDebt (409) or AccountNotOpen (403)."""
    closed = await app.sessions.end(caller.known_user().uid, CardId(body.session_id))
    return SessionEndResponse(
        session=session_shown(closed.card), returned_micros=closed.returned_micros, held_micros=closed.held_micros
    )
