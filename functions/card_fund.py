"""Move more of the caller's credits onto one of their cards. Called by apps; a repeat of the key moves no more."""

from shared.app import App
from shared.base.body import AmountMicros, Body, IdempotencyKey
from shared.cards.models import CardId
from shared.cards.shapes import CardIdText, CardStanding, standing_shown
from shared.web.auth import Caller
from shared.web.function import http_function


class CardFundRequest(Body, frozen=True, kw_only=True):
    """Which card, and how much."""

    card_id: CardIdText
    amount_micros: AmountMicros
    idempotency_key: IdempotencyKey


class CardFundResponse(Body, frozen=True, kw_only=True):
    """How the card stands now."""

    standing: CardStanding


@http_function(
    auth="user_now", body=CardFundRequest, path_param="card_id", path_suffix="/fund", answer=CardFundResponse
)
async def card_fund(body: CardFundRequest, caller: Caller, app: App) -> CardFundResponse:
    """Raise CreditTooLow (402), CardAbsent (404), CardClosed (403), CardNotReady or KeyReused (409)."""
    state = await app.cards.fund(
        caller.known_user().uid, CardId(body.card_id), body.amount_micros, key=body.idempotency_key
    )
    return CardFundResponse(standing=standing_shown(state.standing))
