"""Why a chat request is not sent on."""

from shared.base.errors import CredenceError, Kind


class ChatInvalid(CredenceError):
    """The request asks for something that we could not price or that cannot be."""

    code = "invalid_request"
    kind = Kind.INVALID


class ContextExceeded(CredenceError):
    """The prompt cannot fit the model's context."""

    code = "context_length_exceeded"
    kind = Kind.INVALID

    def __init__(self, *, prompt_tokens_min: int, context_tokens: int) -> None:
        super().__init__(
            f"The prompt has at least {prompt_tokens_min} tokens; the model reads at most {context_tokens}.",
            param="messages",
        )
