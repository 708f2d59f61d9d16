"""Show one of the caller's cards with its balance and usage. Called by apps and programs; reads only."""

from shared.app import App
from shared.base.body import Body
from shared.cards.models import CardId
from shared.cards.shapes import CardIdText, CardStanding, CardView, standing_shown, view_of
from shared.web.auth import Caller
from shared.web.function import http_function


class CardGetRequest(Body, frozen=True, kw_only=True):
    """Which card."""

    card_id: CardIdText


class CardGetResponse(Body, frozen=True, kw_only=True):
    """The card and how it stands. Days, weeks and months are those of UTC; weeks begin on Monday."""

    card: CardView
    standing: CardStanding


@http_function(auth="user", method="GET", body=CardGetRequest, path_param="card_id", answer=CardGetResponse)
async def card_get(body: CardGetRequest, caller: Caller, app: App) -> CardGetResponse:
    """Raise CardAbsent (404), for somebody else's card as for none."""
    state = await app.cards.get(caller.known_user().uid, CardId(body.card_id))
    return CardGetResponse(card=view_of(state.card), standing=standing_shown(state.standing))
