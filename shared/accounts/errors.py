"""Why an account cannot be started right now."""

from shared.base.errors import CredenceError, Kind


class AccountsUnavailable(CredenceError):
    """The store of accounts did not answer. Starting an account again is always safe."""

    code = "accounts_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("The account could not be started just now. Try again.")
