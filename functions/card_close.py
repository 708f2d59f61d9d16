"""Close one of the caller's cards for good and return what is left to the wallet. Called by apps.

While calls of the card are in flight, what they hold stays behind and `status` is `closing`: a repeat returns what they
left, and once nothing is held, finishes. A repeat of a finished closing returns nothing more.
"""

from shared.app import App
from shared.base.body import Body
from shared.cards.models import CardId
from shared.cards.shapes import CardIdText, CardView, view_of
from shared.web.auth import Caller
from shared.web.function import http_function


class CardCloseRequest(Body, frozen=True, kw_only=True):
    """Which card."""

    card_id: CardIdText


class CardCloseResponse(Body, frozen=True, kw_only=True):
    """What this call returned, and what calls in flight still hold."""

    card: CardView
    returned_micros: int
    held_micros: int


@http_function(
    auth="user_now", body=CardCloseRequest, path_param="card_id", path_suffix="/close", answer=CardCloseResponse
)
async def card_close(body: CardCloseRequest, caller: Caller, app: App) -> CardCloseResponse:
    """Raise CardAbsent (404), AccountInDebt (409) or AccountNotOpen (403)."""
    closed = await app.cards.close(caller.known_user().uid, CardId(body.card_id))
    return CardCloseResponse(
        card=view_of(closed.card), returned_micros=closed.returned_micros, held_micros=closed.held_micros
    )
