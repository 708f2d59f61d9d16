"""Why a payment on a chain buys nothing, beside what `shared/chain/errors.py` says of it."""

from shared.base.errors import CredenceError, Kind
from shared.chain.x402 import REQUIRED_HEADER


class OrderNotOnChain(CredenceError):
    """The order is paid in another way."""

    code = "order_not_on_chain"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("This order is not paid by a transfer on a chain.")


class OrderOver(CredenceError):
    """The order's time is over, so nothing is settled for it any more."""

    code = "order_over"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("This order has ended unpaid. Make another one, with another idempotency key.")


class OrderPaid(CredenceError):
    """The order was paid by another payment before."""

    code = "order_paid"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("This order is paid already. If you paid twice, a person will look at it.")


class TransferTaken(CredenceError):
    """The payment was for another order."""

    code = "transfer_taken"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("This payment was claimed for another order already.", param="transaction")


class PaymentInReview(CredenceError):
    """The payment is real and not granted by itself."""

    code = "payment_in_review"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("This payment has come, and a person must look at it: it is late, or not for this order.")


class ClaimsTooMany(CredenceError):
    """So many payments were shown for one order that no more are looked for."""

    code = "claims_too_many"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("Too many payments were shown for this order. Make another one.")


class PaymentUnderway(CredenceError):
    """Another authorization for the same order is being carried out; a second one might be taken as well."""

    code = "payment_underway"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("Another payment for this order is under way. Ask again without a payment to see it.")


class PaymentRequired(CredenceError):
    """A price, in the words of x402."""

    code = "payment_required"
    kind = Kind.UNPAID

    def __init__(self, header: str, reason: str | None = None) -> None:
        super().__init__("Pay what the header PAYMENT-REQUIRED asks (x402, version 2), and send the same again.")
        self.header = header
        self.reason = reason

    def details(self) -> dict[str, int | str]:
        """Why the payment that was sent did not do."""
        return {"reason": self.reason} if self.reason else {}

    def headers(self) -> dict[str, str]:
        """The price itself."""
        return {REQUIRED_HEADER: self.header}
