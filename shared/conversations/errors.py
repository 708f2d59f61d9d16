"""Why something about a conversation is refused."""

from shared.base.errors import CredenceError, Kind


class ConversationAbsent(CredenceError):
    """There is none of this id, or none of the caller's: nobody learns which."""

    code = "conversation_not_found"
    kind = Kind.ABSENT

    def __init__(self) -> None:
        super().__init__("There is no such conversation.")


class ConversationBusy(CredenceError):
    """A reply is being written; there is one at a time."""

    code = "conversation_busy"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("This conversation is answering already. Stop it, or wait until it has answered.")


class TooManyConversations(CredenceError):
    """The account keeps as many as it may."""

    code = "too_many_conversations"
    kind = Kind.DENIED

    def __init__(self, conversations_max: int) -> None:
        super().__init__(f"At most {conversations_max} conversations are kept for an account; delete one first.")


class TurnPassed(CredenceError):
    """A turn that failed is tried again, after others have followed it."""

    code = "turn_passed"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("The conversation has gone on since; send this as a new reply.")


class NothingToAnswer(CredenceError):
    """Nobody has said anything yet."""

    code = "nothing_to_answer"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("There is no message to answer yet.")


class AttachmentInvalid(CredenceError):
    """Something attached cannot be taken."""

    code = "invalid_attachment"
    kind = Kind.INVALID


class TextInvalid(CredenceError):
    """A text holds what no text should."""

    code = "invalid_request"
    kind = Kind.INVALID

    def __init__(self, param: str) -> None:
        super().__init__("Text may not hold control characters or halves of characters.", param=param)


class ReplyFailed(CredenceError):
    """The answer did not come to its end; the message can be answered again."""

    code = "reply_failed"
    kind = Kind.UNAVAILABLE


class ConversationsUnavailable(CredenceError):
    """The store did not answer; what was asked may or may not have been done, and may be asked again."""

    code = "conversations_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("Conversations cannot be reached now. Try again.")
