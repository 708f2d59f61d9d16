"""Tell whether a card's key is good and what it may do. Called by services, or with the key itself; reads only."""

from typing import Annotated

from msgspec import Meta

from shared.app import App
from shared.base.body import Body
from shared.cards.shapes import CardStanding, CardView, standing_shown, view_of
from shared.web.auth import Caller
from shared.web.function import http_function


class CardValidateRequest(Body, frozen=True, kw_only=True):
    """The key to look at; a holder need not repeat the one that they call with."""

    key: Annotated[str, Meta(max_length=200)] | None = None


class CardValidateResponse(Body, frozen=True, kw_only=True):
    """A good key with its card; of a refused one the code that it would be refused with, and nothing else."""

    valid: bool
    code: str | None
    card: CardView | None
    standing: CardStanding | None


@http_function(auth="card", scope="card:validate", body=CardValidateRequest, answer=CardValidateResponse)
async def card_validate(body: CardValidateRequest, caller: Caller, app: App) -> CardValidateResponse:
    """A refused key that calls by itself is refused like everywhere: 401 or 403."""
    validity = await app.card_keys.validate(body.key, asking=caller.card)
    state = validity.state
    return CardValidateResponse(
        valid=state is not None,
        code=validity.code,
        card=view_of(state.card) if state else None,
        standing=standing_shown(state.standing) if state else None,
    )
