"""What functions about cards take and answer, and the way to and from a card's own values."""

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta

from shared.base.body import LAST, AmountMicros, Body, ShortText
from shared.base.periods import Period
from shared.cards.models import Card, Refill, Standing
from shared.ledger.models import SpendLimit

MODELS_MAX = 100
"""Models on one list; a card for more of them is a card for all."""
MOMENT_MS_MAX = 253_402_300_799_999
"""The end of the year 9999, where calendars of most programs end."""

_REFILL_PERIODS: Mapping[Period, Literal["day", "week", "month"]] = {
    Period.DAY: "day",
    Period.WEEK: "week",
    Period.MONTH: "month",
}

CardIdText = Annotated[str, Meta(pattern=rf"^[a-z2-7]{{12}}{LAST}")]
ModelNames = Annotated[list[ShortText], Meta(max_length=MODELS_MAX)]
Moment = Annotated[int, Meta(ge=0, le=MOMENT_MS_MAX)]


class CardLimit(Body, frozen=True, kw_only=True):
    """The most that the card may spend in a period; `total` is for all time."""

    amount_micros: AmountMicros
    period: Literal["day", "week", "month", "total"]

    def value(self) -> SpendLimit:
        """The limit itself."""
        return SpendLimit(self.amount_micros, Period(self.period))


class CardRefill(Body, frozen=True, kw_only=True):
    """What the card is topped up to from the wallet at its first use in each period."""

    to_micros: AmountMicros
    period: Literal["day", "week", "month"]

    def value(self) -> Refill:
        """The refill itself."""
        return Refill(self.to_micros, Period(self.period))


class CardView(Body, frozen=True, kw_only=True):
    """A card as its owner and its holder see it."""

    card_id: str
    account_id: str
    name: str
    status: str
    limit: CardLimit | None
    refill: CardRefill | None
    models: list[str] | None
    expires_at_ms: int | None
    created_at_ms: int


class CardStanding(Body, frozen=True, kw_only=True):
    """What the card has and has spent. `spendable_micros` is what the next call may cost at most."""

    balance_micros: int
    held_micros: int
    spendable_micros: int
    spent_micros: int
    spent_day_micros: int
    spent_week_micros: int
    spent_month_micros: int
    limit_left_micros: int | None
    resets_at_ms: int | None


def view_of(card: Card) -> CardView:
    """The card as it is shown."""
    terms = card.terms
    limit, refill = terms.limit, terms.refill
    return CardView(
        card_id=card.card_id,
        account_id=card.account_id,
        name=terms.name,
        status=card.status.value,
        limit=CardLimit(amount_micros=limit.amount_micros, period=limit.period.value) if limit else None,
        refill=_shown_refill(refill) if refill else None,
        models=None if terms.models is None else sorted(terms.models),
        expires_at_ms=terms.expires_at_ms,
        created_at_ms=card.created_at_ms,
    )


def standing_shown(standing: Standing) -> CardStanding:
    """The standing as it is shown."""
    return CardStanding(
        balance_micros=standing.balance_micros,
        held_micros=standing.held_micros,
        spendable_micros=standing.spendable_micros,
        spent_micros=standing.spent_micros,
        spent_day_micros=standing.day_micros,
        spent_week_micros=standing.week_micros,
        spent_month_micros=standing.month_micros,
        limit_left_micros=standing.limit_left_micros,
        resets_at_ms=standing.resets_at_ms,
    )


def _shown_refill(refill: Refill) -> CardRefill:
    return CardRefill(to_micros=refill.to_micros, period=_REFILL_PERIODS[refill.period])
