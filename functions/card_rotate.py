"""Give one of the caller's cards a new key; the old one is refused. Called by apps; a repeat makes yet another key."""

from shared.app import App
from shared.base.body import Body
from shared.cards.models import CardId
from shared.cards.shapes import CardIdText
from shared.web.auth import Caller
from shared.web.function import http_function


class CardRotateRequest(Body, frozen=True, kw_only=True):
    """Which card."""

    card_id: CardIdText


class CardRotateResponse(Body, frozen=True, kw_only=True):
    """The new key, shown once. The old one may be taken for a few seconds more."""

    key: str


@http_function(
    auth="user_now", body=CardRotateRequest, path_param="card_id", path_suffix="/key", answer=CardRotateResponse
)
async def card_rotate(body: CardRotateRequest, caller: Caller, app: App) -> CardRotateResponse:
    """Raise CardAbsent (404), CardClosed (403), CardNotReady (409) or CardsBusy (503)."""
    key = await app.cards.replace_key(caller.known_user().uid, CardId(body.card_id))
    return CardRotateResponse(key=key.reveal())
