"""Why a purchase, an event or a refund is refused."""

from shared.base.errors import CredenceError, Kind


class PackUnknown(CredenceError):
    """There is no such pack, or not in that currency."""

    code = "pack_not_found"
    kind = Kind.ABSENT

    def __init__(self, param: str) -> None:
        super().__init__("There is no such pack in this currency; GET /v1/packs lists them.", param=param)


class RailNotOffered(CredenceError):
    """This deployment does not take money that way."""

    code = "rail_not_offered"
    kind = Kind.ABSENT

    def __init__(self) -> None:
        super().__init__("This way to pay is not offered here; GET /v1/packs lists those that are.", param="rail")


class OrderAbsent(CredenceError):
    """The caller has no such order."""

    code = "order_not_found"
    kind = Kind.ABSENT

    def __init__(self) -> None:
        super().__init__("There is no such order of yours.")


class OrderBusy(CredenceError):
    """Somebody else works at the order at the same moment. A repeat is safe."""

    code = "order_busy"
    kind = Kind.BUSY

    def __init__(self) -> None:
        super().__init__("This order is being worked at by another request. Try again.")


class PaymentsUnavailable(CredenceError):
    """The store of payments did not answer in time. A repeat is safe."""

    code = "payments_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("Payments could not be read or changed just now. Try again.")


class RailUnavailable(CredenceError):
    """The provider could not be reached, or did not say what it did. A repeat is safe."""

    code = "rail_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(self, rail: str) -> None:
        super().__init__(f"{rail} did not answer as it should. Try again.")


class RailRefused(CredenceError):
    """The provider understood, and will not."""

    code = "rail_refused"
    kind = Kind.CONFLICT

    def __init__(self, rail: str, provider_code: str) -> None:
        super().__init__(f"{rail} refused: {provider_code}.")
        self.provider_code = provider_code


class EventRefused(CredenceError):
    """An event that is not proved to come from the provider, or is none."""

    code = "event_refused"
    kind = Kind.INVALID

    def __init__(self, reason: str) -> None:
        super().__init__(f"This event is not accepted: {reason}.")
        self.reason = reason


class ConfirmationRefused(CredenceError):
    """What a browser brought from the checkout does not prove that this order was paid."""

    code = "confirmation_refused"
    kind = Kind.INVALID

    def __init__(self) -> None:
        super().__init__("This does not prove that the order was paid.")


class RefundRefused(CredenceError):
    """The order cannot be refunded that way. The reason is one of a few fixed words."""

    code = "refund_refused"
    kind = Kind.CONFLICT

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def details(self) -> dict[str, int | str]:
        """Which rule it was."""
        return {"reason": self.reason}


class ReviewAbsent(CredenceError):
    """There is nothing of that id to decide."""

    code = "review_not_found"
    kind = Kind.ABSENT

    def __init__(self) -> None:
        super().__init__("There is no such review.")


class ReviewResolved(CredenceError):
    """Somebody decided before, and otherwise."""

    code = "review_resolved"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("This review was decided already, in another way.")


class OrderHeld(CredenceError):
    """The credits of the order that a review asks about still wait for that very decision."""

    code = "order_held"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("Dismiss the doubt to release the order, or give its money back first.", param="verdict")
