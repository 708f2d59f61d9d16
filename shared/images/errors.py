"""Why pictures are not made."""

from shared.base.errors import CredenceError, Kind


class ImageInvalid(CredenceError):
    """The request asks for something that the model's price does not cover, or that cannot be."""

    code = "invalid_request"
    kind = Kind.INVALID
