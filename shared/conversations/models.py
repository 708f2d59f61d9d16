"""What a conversation is: its terms, its messages, and the turn that is being answered."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NewType

from msgspec import Struct

from shared.base.ids import AccountId, UserId
from shared.metering.models import OwedCharge

ConversationId = NewType("ConversationId", str)
TurnId = NewType("TurnId", str)
"""Made of the client's key, so that a repeat finds the turn."""

HISTORY_TOKENS_DEFAULT = 8_000
ANSWER_TOKENS_DEFAULT = 2_048


class Role(StrEnum):
    """Who says a message."""

    USER = "user"
    ASSISTANT = "assistant"
    SUMMARY = "summary"
    """What went before, in short: it is shown because it was paid for."""
    TITLE = "title"
    """A title that was asked for: it is shown because it was paid for."""


class MessageState(StrEnum):
    """Where a message stands."""

    UNANSWERED = "unanswered"
    """Of a user: nothing has answered it, or not yet."""
    SAID = "said"
    REPLACED = "replaced"
    """An answer that was written anew. It stays as the proof of its receipt, and no model reads it again."""


class Caller(Struct, frozen=True):
    """Whose conversations, and by which account they are paid."""

    uid: UserId
    account_id: AccountId
    is_card: bool


class Picture(Struct, frozen=True):
    """An image of a message; its bytes are kept beside it under the name."""

    name: str
    media_type: str
    bytes: int


class TextFile(Struct, frozen=True):
    """A file of a message."""

    name: str
    text: str


class Message(Struct, frozen=True, kw_only=True):
    """One message. What an answer cost stands on it, with its receipt."""

    seq: int
    role: Role
    text: str
    state: MessageState = MessageState.SAID
    created_at_ms: int
    pictures: tuple[Picture, ...] = ()
    files: tuple[TextFile, ...] = ()
    finish_reason: str | None = None
    """As the provider said; `stopped` when the reader left or stopped it, `error` when the provider broke off."""
    model: str | None = None
    receipt_id: str | None = None
    charged_micros: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    answers: int | None = None
    """Of an answer: the message that it answers. Of a summary or a title: the last message that it tells."""


class Memory(Struct, frozen=True, kw_only=True):
    """One thing that a user asked to remember, and where it was said."""

    memory_id: str
    text: str
    conversation_id: ConversationId
    created_at_ms: int


class Running(Struct, frozen=True):
    """The turn that is being answered. Whoever writes it proves by `fence` that it is still theirs."""

    turn_id: TurnId
    fence: int
    until_ms: int
    """Not renewed by then, its process is taken for dead."""
    stop: bool = False
    """Somebody wants no more of it."""


class Summary(Struct, frozen=True):
    """What the messages up to one said, in short."""

    text: str
    until_seq: int


class Conversation(Struct, frozen=True, kw_only=True):
    """A conversation without its messages."""

    conversation_id: ConversationId
    owner: UserId
    account_id: AccountId
    """Who began it; the key of a card sees its own only."""
    request_hash: str
    title: str
    model: str
    system: str = ""
    remembers: bool = False
    """Whether what its owner asked to remember is kept and told to the model."""
    history_tokens_max: int = HISTORY_TOKENS_DEFAULT
    answer_tokens_max: int = ANSWER_TOKENS_DEFAULT
    created_at_ms: int
    updated_at_ms: int
    is_deleting: bool = False
    next_seq: int = 1
    asked_seq: int = 0
    """The newest message of the user; 0 before the first."""
    fence: int = 0
    running: Running | None = None
    pending: TurnId | None = None
    """A step whose answer is written and whose charge may not be made: whoever comes next settles it."""
    summary: Summary | None = None
    turns: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    charged_micros: int = 0


class TurnState(StrEnum):
    """How far a step has come. A `begun` one without a living process is as good as failed."""

    BEGUN = "begun"
    WRITTEN = "written"
    """All of it is durable; the charge is made next."""
    DONE = "done"
    FAILED = "failed"


class Turn(Struct, frozen=True, kw_only=True):
    """One metered step: an answer, a summary or a title. No client reads it."""

    turn_id: TurnId
    request_hash: str = ""
    state: TurnState = TurnState.BEGUN
    role: Role = Role.ASSISTANT
    about_seq: int
    """The message that is answered, or the last one that is told in short."""
    replaces: tuple[int, ...] = ()
    """Former answers to it."""
    answer: Message | None = None
    owed: OwedCharge | None = None
    """None once written when the answer was free."""


class Change(Struct, frozen=True):
    """What is written in one commit."""

    conversation: Conversation
    messages: tuple[Message, ...] = ()
    states: Mapping[int, MessageState] = {}
    """Of messages that are there already, by their number."""
    turn: Turn | None = None
    memory: Memory | None = None
