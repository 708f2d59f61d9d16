"""Why a recording is not written down."""

from shared.base.errors import CredenceError, Kind


class SpeechInvalid(CredenceError):
    """The request asks for something that cannot be priced or that cannot be."""

    code = "invalid_request"
    kind = Kind.INVALID
