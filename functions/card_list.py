"""List the caller's cards, closed ones too. Called by apps and programs; reads only."""

from shared.app import App
from shared.base.body import Body
from shared.cards.models import CardId
from shared.cards.shapes import CardIdText, CardView, view_of
from shared.web.auth import Caller
from shared.web.function import http_function


class CardListRequest(Body, frozen=True, kw_only=True):
    """Where to go on: behind this card."""

    after: CardIdText | None = None


class CardListResponse(Body, frozen=True, kw_only=True):
    """At most a hundred cards in the order of their ids; the last one's id is the next page's `after`."""

    object: str = "list"
    data: list[CardView]


@http_function(auth="user", method="GET", body=CardListRequest, answer=CardListResponse)
async def card_list(body: CardListRequest, caller: Caller, app: App) -> CardListResponse:
    """`card_get` tells what each card has and has spent."""
    after = CardId(body.after) if body.after is not None else None
    cards = await app.cards.owned_by(caller.known_user().uid, after=after)
    return CardListResponse(data=[view_of(card) for card in cards])
