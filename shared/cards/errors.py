"""Why a card, or the key of one, is refused. No message and no field ever bears a part of a secret."""

from shared.base.errors import CredenceError, Kind


class CardKeyWrong(CredenceError):
    """The key is no key of a card here: malformed, of no card, replaced, or with another secret."""

    code = "invalid_card_key"
    kind = Kind.UNAUTHENTICATED

    def __init__(self) -> None:
        super().__init__("This is not the key of a card here. It may have been replaced by a newer one.")


class CardFrozen(CredenceError):
    """The card's owner, or an operator, has frozen it."""

    code = "card_frozen"
    kind = Kind.DENIED

    def __init__(self) -> None:
        super().__init__("This card is frozen; its owner can unfreeze it.")


class CardExpired(CredenceError):
    """The card's time is over."""

    code = "card_expired"
    kind = Kind.DENIED

    def __init__(self, *, expired_at_ms: int) -> None:
        super().__init__("This card has expired; its owner can give it more time.")
        self.expired_at_ms = expired_at_ms

    def details(self) -> dict[str, int | str]:
        """Since when."""
        return {"expired_at_ms": self.expired_at_ms}


class CardClosed(CredenceError):
    """The card is closed or being closed, for good."""

    code = "card_closed"
    kind = Kind.DENIED

    def __init__(self) -> None:
        super().__init__("This card is closed.")


class CardNotReady(CredenceError):
    """The card's creation has not finished."""

    code = "card_not_ready"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("This card is not ready: repeat its creation with the same idempotency key, or close it.")


class CardAbsent(CredenceError):
    """The caller has no such card."""

    code = "card_not_found"
    kind = Kind.ABSENT

    def __init__(self) -> None:
        super().__init__("There is no such card of yours.")


class CardsBusy(CredenceError):
    """Somebody else changed the card at the same moment. A repeat is safe."""

    code = "card_busy"
    kind = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("This card is being changed by another request. Try again.")


class CardsUnavailable(CredenceError):
    """The store of cards did not answer in time. A repeat is safe."""

    code = "cards_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("Cards could not be read or changed just now. Try again.")
