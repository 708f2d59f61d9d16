"""Create a card: a key that spends so many of the caller's credits. Called by apps.

The key is answered once. A repeat with the same idempotency key creates nothing more: it finishes what a failed try
began, and answers without a key once there was an answer with one; `card_rotate` replaces a key that was lost.
"""

from typing import Annotated

from msgspec import Meta

from shared.app import App
from shared.base.body import Body, IdempotencyKey, ShortText
from shared.base.micros import AMOUNT_MICROS_MAX
from shared.cards.models import Terms
from shared.cards.shapes import CardLimit, CardRefill, CardView, ModelNames, Moment, view_of
from shared.web.auth import Caller
from shared.web.function import http_function


class CardCreateRequest(Body, frozen=True, kw_only=True):
    """What the card is for, what goes on it at once, and what bounds it."""

    name: ShortText
    amount_micros: Annotated[int, Meta(ge=0, le=AMOUNT_MICROS_MAX)] = 0
    limit: CardLimit | None = None
    refill: CardRefill | None = None
    models: ModelNames | None = None
    expires_at_ms: Moment | None = None
    idempotency_key: IdempotencyKey


class CardCreateResponse(Body, frozen=True, kw_only=True):
    """The card, and its key: the API key for any OpenAI client. Null in the answer to a repeat."""

    card: CardView
    key: str | None


@http_function(auth="user_now", body=CardCreateRequest, answer=CardCreateResponse)
async def card_create(body: CardCreateRequest, caller: Caller, app: App) -> CardCreateResponse:
    """Raise CreditTooLow (402), AccountAbsent (404) or KeyReused (409)."""
    terms = Terms(
        name=body.name,
        limit=body.limit.value() if body.limit else None,
        refill=body.refill.value() if body.refill else None,
        models=None if body.models is None else frozenset(body.models),
        expires_at_ms=body.expires_at_ms,
    )
    created = await app.cards.create(caller.known_user().uid, terms, body.amount_micros, key=body.idempotency_key)
    return CardCreateResponse(card=view_of(created.card), key=created.key.reveal() if created.key else None)
