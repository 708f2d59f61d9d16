"""Why somebody must wait, or cannot be judged just now."""

from shared.base.errors import CredenceError, Kind
from shared.risk.models import Refusal


class CheckoutTooOften(CredenceError):
    """A limit on orders or declined cards is reached. Nothing was ordered."""

    code = "checkout_too_often"
    kind = Kind.BUSY

    def __init__(self, refusal: Refusal) -> None:
        super().__init__("Too many orders or declined payments. Wait before the next.")
        self.refusal = refusal

    def details(self) -> dict[str, int | str]:
        """Which limit, and when there is room again."""
        return {"reason": self.refusal.rule, "retry_after_ms": self.refusal.retry_after_ms}


class RefundTooOften(CredenceError):
    """The buyer gave back as many orders this year as the policy allows."""

    code = "refund_too_often"
    kind = Kind.CONFLICT

    def __init__(self, refusal: Refusal) -> None:
        super().__init__("You gave back as many orders as is possible in a year; an operator can help.")
        self.refusal = refusal


class RiskBusy(CredenceError):
    """Too many others were counted at the same moment. A repeat is safe."""

    code = "risk_busy"
    kind = Kind.BUSY
    RETRY_AFTER_MS = 2_000

    def __init__(self) -> None:
        super().__init__("Too many requests of this kind at the same moment. Try again.")

    def details(self) -> dict[str, int | str]:
        """When to come again."""
        return {"retry_after_ms": self.RETRY_AFTER_MS}


class RiskUnavailable(CredenceError):
    """The store of signals did not answer. A repeat is safe."""

    code = "risk_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("Limits could not be read just now. Try again.")
