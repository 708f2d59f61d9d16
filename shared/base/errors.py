"""The root of every refusal: a stable public code, a kind that the web layer maps to a status, values, no secrets."""

from enum import StrEnum
from typing import ClassVar


class Kind(StrEnum):
    """What sort of refusal it is. One table maps it to HTTP, another to what a task queue should do."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    DENIED = "denied"
    ABSENT = "absent"
    CONFLICT = "conflict"
    UNPAID = "unpaid"
    BUSY = "busy"
    UNAVAILABLE = "unavailable"

    @property
    def passes(self) -> bool:
        """Whether such a trouble is over by itself, so that the same request may succeed later."""
        return self in _PASSING


_PASSING = frozenset({Kind.BUSY, Kind.UNAVAILABLE})


class CredenceError(Exception):
    """A refusal that may be shown to the caller as it is: its message carries no internals."""

    code: ClassVar[str]
    kind: ClassVar[Kind]

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param

    def details(self) -> dict[str, int | str]:
        """Values a program may act on, shown beside the message."""
        return {}

    def headers(self) -> dict[str, str]:
        """What a protocol over HTTP wants told beside the body."""
        return {}


class BadRequest(CredenceError):
    """The request cannot be understood; nothing was read or changed on its behalf."""

    code = "invalid_request"
    kind = Kind.INVALID


class ClientLeft(CredenceError):
    """Whoever asked has closed the connection before there was an answer. Nobody but our log hears of it."""

    code = "client_left"
    kind = Kind.INVALID

    def __init__(self) -> None:
        super().__init__("The client has left.")
