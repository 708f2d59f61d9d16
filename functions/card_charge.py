"""Charge a card for finished work. Called by trusted backends, or with the card's own key.

A repeat with the same key answers the same; each caller has keys of its own.
"""

from shared.app import App
from shared.base.body import AmountMicros, Body, IdempotencyKey, ShortText
from shared.cards.models import CardId
from shared.cards.shapes import CardIdText
from shared.web.auth import Caller
from shared.web.function import http_function


class CardChargeRequest(Body, frozen=True, kw_only=True):
    """Which card, how much, and for what."""

    card_id: CardIdText
    amount_micros: AmountMicros
    reason: ShortText
    idempotency_key: IdempotencyKey


class CardChargeResponse(Body, frozen=True, kw_only=True):
    """The entry that proves the charge."""

    receipt_id: str
    amount_micros: int
    balance_micros: int
    repeated: bool


@http_function(
    auth="card",
    scope="card:charge",
    body=CardChargeRequest,
    path_param="card_id",
    path_suffix="/charge",
    answer=CardChargeResponse,
)
async def card_charge(body: CardChargeRequest, caller: Caller, app: App) -> CardChargeResponse:
    """Raise CreditTooLow (402), CardAbsent (404), KeyReused (409), or CardFrozen, CardExpired or CardClosed (403)."""
    posted = await app.card_keys.charge(
        CardId(body.card_id),
        body.amount_micros,
        key=body.idempotency_key,
        reason=body.reason,
        charged_by=caller.name,
        holder=caller.card,
    )
    return CardChargeResponse(
        receipt_id=posted.entry.entry_id,
        amount_micros=-posted.entry.delta_micros,
        balance_micros=posted.entry.balance_micros,
        repeated=posted.repeated,
    )
