"""Why nothing can be said of a price."""

from shared.base.errors import CredenceError, Kind


class PriceHistoryAbsent(CredenceError):
    """Nothing was ever recorded of this model's price: it is not for sale here, or nobody has bought of it yet."""

    code = "price_history_not_found"
    kind = Kind.ABSENT

    def __init__(self, model_id: str) -> None:
        super().__init__(f"No price of {model_id[:100]!r} has been recorded yet.", param="model_id")


class PricesUnavailable(CredenceError):
    """The store of prices did not answer in time."""

    code = "prices_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("Prices could not be read just now. Try again.")


class PricesBusy(CredenceError):
    """Prices are being changed by others at this moment."""

    code = "prices_busy"
    kind = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("Prices are being changed just now. Try again.")


class OrderReused(CredenceError):
    """The key of the order was used for another one."""

    code = "order_key_reused"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("This idempotency key was used for another order.", param="idempotency_key")
