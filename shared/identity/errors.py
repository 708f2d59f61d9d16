"""Why a caller is not let in. No message ever carries the token or a piece of it."""

from shared.base.errors import CredenceError, Kind


class TokenInvalid(CredenceError):
    """The token proves nothing here: malformed, forged, or made for somebody else. A fresh copy of it will not help."""

    code = "invalid_token"
    kind = Kind.UNAUTHENTICATED


class TokenExpired(CredenceError):
    """The token was good and its time is over; the client's SDK gets the next one by itself."""

    code = "token_expired"
    kind = Kind.UNAUTHENTICATED

    def __init__(self) -> None:
        super().__init__("The token has expired. Get a fresh one and try again.")


class TokenRevoked(CredenceError):
    """The sign-in behind the token was ended: revoked, password changed, or the account deleted."""

    code = "token_revoked"
    kind = Kind.UNAUTHENTICATED

    def __init__(self) -> None:
        super().__init__("The sign-in behind this token has been revoked. Sign in again.")


class UserDisabled(CredenceError):
    """An administrator has disabled the account; signing in again does not help."""

    code = "user_disabled"
    kind = Kind.DENIED

    def __init__(self) -> None:
        super().__init__("This user account is disabled.")


class IdentityUnavailable(CredenceError):
    """Google's certificates or the account could not be read, so nothing can be said about the token; try again."""

    code = "identity_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("Who is calling cannot be checked at the moment. Try again.")
