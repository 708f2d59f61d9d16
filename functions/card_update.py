"""Change one of the caller's cards: its name, limit, refill, models, end, or whether it is frozen. Called by apps.

What the request does not name stays as it is; null lifts a limit, a refill, a list or an end. A repeat changes nothing.
"""

from msgspec import UNSET, UnsetType

from shared.app import App
from shared.base.body import Body, ShortText
from shared.cards.models import CardId, Changes
from shared.cards.shapes import CardIdText, CardLimit, CardRefill, CardView, ModelNames, Moment, view_of
from shared.web.auth import Caller
from shared.web.function import http_function


class CardUpdateRequest(Body, frozen=True, kw_only=True):
    """Which card, and what becomes different."""

    card_id: CardIdText
    name: ShortText | UnsetType = UNSET
    limit: CardLimit | UnsetType | None = UNSET
    refill: CardRefill | UnsetType | None = UNSET
    models: ModelNames | UnsetType | None = UNSET
    expires_at_ms: Moment | UnsetType | None = UNSET
    frozen: bool | UnsetType = UNSET


class CardUpdateResponse(Body, frozen=True, kw_only=True):
    """The card as it is now. Its key may be taken for a few seconds more as the card was before."""

    card: CardView


@http_function(auth="user_now", body=CardUpdateRequest, path_param="card_id", answer=CardUpdateResponse)
async def card_update(body: CardUpdateRequest, caller: Caller, app: App) -> CardUpdateResponse:
    """Raise CardAbsent (404), CardClosed (403) or CardNotReady (409)."""
    changes = Changes(
        name=body.name,
        limit=body.limit.value() if isinstance(body.limit, CardLimit) else body.limit,
        refill=body.refill.value() if isinstance(body.refill, CardRefill) else body.refill,
        models=frozenset(body.models) if isinstance(body.models, list) else body.models,
        expires_at_ms=body.expires_at_ms,
        frozen=body.frozen,
    )
    card = await app.cards.change(caller.known_user().uid, CardId(body.card_id), changes)
    return CardUpdateResponse(card=view_of(card))
