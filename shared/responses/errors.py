"""Why a response is not begun."""

from shared.base.errors import CredenceError, Kind


class ResponseInvalid(CredenceError):
    """The request asks for something that we do not keep, run or sell, or that cannot be."""

    code = "invalid_request"
    kind = Kind.INVALID
