"""Why texts are not embedded."""

from shared.base.errors import CredenceError, Kind


class EmbeddingInvalid(CredenceError):
    """The request asks for something that cannot be priced or that cannot be."""

    code = "invalid_request"
    kind = Kind.INVALID
