"""Why an account is not frozen, or not let go."""

from shared.base.errors import CredenceError, Kind


class FreezeUnfinished(CredenceError):
    """There are more cards than one request can freeze or let go. A repeat goes on."""

    code = "freeze_unfinished"
    kind = Kind.UNAVAILABLE
    RETRY_AFTER_MS = 1_000

    def __init__(self) -> None:
        super().__init__("Not every card of this account is done yet. Repeat with the same idempotency key.")

    def details(self) -> dict[str, int | str]:
        """When to come again."""
        return {"retry_after_ms": self.RETRY_AFTER_MS}


class FreezeContested(CredenceError):
    """The account changed under each of our tries. A repeat is safe."""

    code = "freeze_contested"
    kind = Kind.BUSY
    RETRY_AFTER_MS = 1_000

    def __init__(self) -> None:
        super().__init__("Others change this account at the same moment. Repeat with the same idempotency key.")

    def details(self) -> dict[str, int | str]:
        """When to come again."""
        return {"retry_after_ms": self.RETRY_AFTER_MS}


class FrozenWithWallet(CredenceError):
    """Nobody froze the card itself."""

    code = "frozen_with_wallet"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("This card is frozen because its owner's wallet is; let the wallet go.")


class FreezeRecordFull(CredenceError):
    """As much was decided of this account as its record holds."""

    code = "freeze_record_full"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("This account was frozen and let go too often; its record holds no more decisions.")
