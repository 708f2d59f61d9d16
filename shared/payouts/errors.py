"""Why a payout is refused."""

from shared.base.errors import CredenceError, Kind


class PayoutRefused(CredenceError):
    """It cannot be paid out now. The reason is one of a few fixed words."""

    code = "payout_refused"
    kind = Kind.CONFLICT

    def __init__(self, reason: str) -> None:
        super().__init__(f"This cannot be paid out now: {reason}.")
        self.reason = reason

    def details(self) -> dict[str, int | str]:
        """Which rule it was."""
        return {"reason": self.reason}


class PayoutsNotOffered(CredenceError):
    """This deployment pays nobody out."""

    code = "payouts_not_offered"
    kind = Kind.ABSENT

    def __init__(self) -> None:
        super().__init__("Nothing is paid out here.")


class PayoutAbsent(CredenceError):
    """The caller has no such payout."""

    code = "payout_not_found"
    kind = Kind.ABSENT

    def __init__(self) -> None:
        super().__init__("There is no such payout of yours.")


class PayoutBusy(CredenceError):
    """Somebody else works at the payout at the same moment. A repeat is safe."""

    code = "payout_busy"
    kind = Kind.BUSY

    def __init__(self) -> None:
        super().__init__("This payout is being worked at by another request. Try again.")
