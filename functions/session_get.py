"""Show one of the caller's sessions, and what it has and has spent. Called by apps and programs; reads only."""

from shared.app import App
from shared.base.body import Body
from shared.cards.models import CardId
from shared.cards.shapes import CardStanding, standing_shown
from shared.pools.shapes import SessionIdText, SessionView, session_shown
from shared.web.auth import Caller
from shared.web.function import http_function


class SessionGetRequest(Body, frozen=True, kw_only=True):
    """Which session."""

    session_id: SessionIdText


class SessionGetResponse(Body, frozen=True, kw_only=True):
    """The session and how it stands."""

    session: SessionView
    standing: CardStanding


@http_function(auth="user", method="GET", body=SessionGetRequest, path_param="session_id", answer=SessionGetResponse)
async def session_get(body: SessionGetRequest, caller: Caller, app: App) -> SessionGetResponse:
    """Raise CardAbsent (404), for somebody else's session as for none."""
    state = await app.sessions.get(caller.known_user().uid, CardId(body.session_id))
    return SessionGetResponse(session=session_shown(state.card), standing=standing_shown(state.standing))
