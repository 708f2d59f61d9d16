"""List the caller's sessions, ended ones too. Called by apps and programs; reads only."""

from shared.app import App
from shared.base.body import Body
from shared.cards.models import CardId
from shared.pools.shapes import SessionIdText, SessionView, session_shown
from shared.web.auth import Caller
from shared.web.function import http_function


class SessionListRequest(Body, frozen=True, kw_only=True):
    """Where to go on: behind this session."""

    after: SessionIdText | None = None


class SessionListResponse(Body, frozen=True, kw_only=True):
    """At most a hundred sessions in the order of their ids; the last one's id is the next page's `after`."""

    object: str = "list"
    data: list[SessionView]


@http_function(auth="user", method="GET", body=SessionListRequest, answer=SessionListResponse)
async def session_list(body: SessionListRequest, caller: Caller, app: App) -> SessionListResponse:
    """`session_get` tells what each has and has spent."""
    after = CardId(body.after) if body.after is not None else None
    cards = await app.sessions.owned_by(caller.known_user().uid, after=after)
    return SessionListResponse(data=[session_shown(card) for card in cards])
