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
