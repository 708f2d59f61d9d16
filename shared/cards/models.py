"""What a card is: a key that spends from an account of its own, within terms that its owner sets."""

from enum import StrEnum
from typing import NewType

from msgspec import UNSET, Struct, UnsetType

from shared.base.ids import AccountId, UserId
from shared.base.periods import Period
from shared.base.secret import Secret
from shared.ledger.models import SpendLimit

CardId = NewType("CardId", str)
"""The public part of a key: twelve characters that name the card in logs, paths and account ids."""


class CardStatus(StrEnum):
    """Where a card stands. Whether it has expired is a matter of the clock and not written down."""

    OPENING = "opening"
    """Its creation has begun; no key of it is good yet."""
    OPEN = "open"
    FROZEN = "frozen"
    CLOSING = "closing"
    """Its key is refused; what calls in flight hold is not back in the wallet yet."""
    CLOSED = "closed"


class Refill(Struct, frozen=True):
    """What a card is topped up to from its owner's wallet, at its first use in each period."""

    to_micros: int
    period: Period


class Terms(Struct, frozen=True):
    """What an owner decides about a card."""

    name: str
    limit: SpendLimit | None = None
    refill: Refill | None = None
    models: frozenset[str] | None = None
    """The models that it may call; None for all of them."""
    expires_at_ms: int | None = None


class Changes(Struct, frozen=True, kw_only=True):
    """What an owner changes of a card. What is not named stays; None lifts a limit, a refill, a list or an end."""

    name: str | UnsetType = UNSET
    limit: SpendLimit | UnsetType | None = UNSET
    refill: Refill | UnsetType | None = UNSET
    models: frozenset[str] | UnsetType | None = UNSET
    expires_at_ms: int | UnsetType | None = UNSET
    frozen: bool | UnsetType = UNSET


class Session(Struct, frozen=True):
    """What makes a card a session: it has one budget, from one place, and what is left goes back there."""

    pool: str | None
    """The pool that it draws from; None for its owner's wallet."""
    budget_micros: int
    lenders: tuple[UserId, ...] = ()
    """Other members of the pool whose credits it drew."""


class Card(Struct, frozen=True):
    """A card as its owner may see it: nothing here helps anybody to its secret."""

    card_id: CardId
    owner: UserId
    status: CardStatus
    terms: Terms
    created_at_ms: int
    session: Session | None = None
    """None for a card that its owner keeps."""

    @property
    def account_id(self) -> AccountId:
        """The account that the card spends from."""
        return AccountId(f"card:{self.card_id}")

    @property
    def wallet_id(self) -> AccountId:
        """Its owner's wallet."""
        return AccountId(f"user:{self.owner}")

    @property
    def payers(self) -> frozenset[UserId]:
        """Whose credits may be on it."""
        return frozenset({self.owner, *(self.session.lenders if self.session else ())})


class CardRecord(Struct, frozen=True):
    """A card with what only we may read."""

    card: Card
    key_hash: str
    """SHA-256 of the secret."""
    request_hash: str
    """What the creation asked for, to tell a repeat from another request under the same key."""


class Created(Struct, frozen=True):
    """The outcome of a creation. The key is shown once: a repeat of a finished creation has none."""

    card: Card
    key: Secret | None


class Closed(Struct, frozen=True):
    """The outcome of a closing: `card.status` says whether it is finished."""

    card: Card
    returned_micros: int
    """What this call moved back to the wallet."""
    held_micros: int
    """What calls in flight still hold."""


class Standing(Struct, frozen=True):
    """What a card has and has spent, at one moment."""

    balance_micros: int
    held_micros: int
    spendable_micros: int
    spent_micros: int
    day_micros: int
    week_micros: int
    month_micros: int
    limit_left_micros: int | None
    resets_at_ms: int | None


class Validity(Struct, frozen=True):
    """What a key is good for: how its card stands, or the code of what it is refused for."""

    state: "CardState | None"
    code: str | None


class CardState(Struct, frozen=True):
    """A card, and how it stands."""

    card: Card
    standing: Standing
