"""How conversations are asked for and told over HTTP."""

from typing import Annotated

from msgspec import Meta, convert, to_builtins

from shared.base.body import LAST, Body
from shared.conversations.models import Conversation, Message
from shared.conversations.quote import TurnQuote
from shared.conversations.rules import is_answering

TITLE_CHARS_MAX = 200
SYSTEM_CHARS_MAX = 8_000
MESSAGE_CHARS_MAX = 50_000
"""Two hundred kilobytes at most: with the files of a message, less than one document."""
ANSWER_TOKENS_MAX = 16_000
"""An answer is one document, with much room to spare."""
IdText = Annotated[str, Meta(pattern=rf"^conv_[0-9a-f]{{32}}{LAST}")]
Title = Annotated[str, Meta(max_length=TITLE_CHARS_MAX)]
SystemText = Annotated[str, Meta(max_length=SYSTEM_CHARS_MAX)]
MessageText = Annotated[str, Meta(min_length=1, max_length=MESSAGE_CHARS_MAX)]


class ConversationView(Body, frozen=True, kw_only=True):
    """A conversation as its owner sees it."""

    conversation_id: str
    title: str
    model: str
    system: str
    remembers: bool
    history_tokens_max: int
    answer_tokens_max: int
    answering: bool
    turns: int
    prompt_tokens: int
    completion_tokens: int
    charged_micros: int
    created_at_ms: int
    updated_at_ms: int


class PictureView(Body, frozen=True, kw_only=True):
    """An image of a message; its bytes are in `pictures/{name}-{number}`, as many as it needs."""

    name: str
    media_type: str
    bytes: int


class FileView(Body, frozen=True, kw_only=True):
    """A file of a message."""

    name: str
    text: str


class MessageView(Body, frozen=True, kw_only=True):
    """A message, and of an answer or a summary what it cost, with its receipt."""

    seq: int
    role: str
    text: str
    state: str
    created_at_ms: int
    pictures: list[PictureView]
    files: list[FileView]
    finish_reason: str | None
    model: str | None
    receipt_id: str | None
    charged_micros: int
    prompt_tokens: int
    completion_tokens: int
    answers: int | None


class CallQuoteView(Body, frozen=True, kw_only=True):
    """One metered call of a turn: the reply, or a summary of what no longer fits."""

    kind: str
    at_most_micros: int
    probably_micros: int
    prompt_tokens_max: int
    completion_tokens_max: int


class TurnQuoteView(Body, frozen=True, kw_only=True):
    """What a turn would be held for at most, and will probably cost."""

    model: str
    at_most_micros: int
    probably_micros: int
    calls: list[CallQuoteView]


def view_of(conversation: Conversation, now_ms: int) -> ConversationView:
    """What of a conversation is told."""
    fields = to_builtins(conversation)
    shown = {name: fields[name] for name in ConversationView.__struct_fields__ if name in fields}
    return convert({**shown, "answering": is_answering(conversation, now_ms)}, ConversationView)


def message_view_of(message: Message) -> MessageView:
    """What of a message is told."""
    return convert(to_builtins(message), MessageView)


def quote_view_of(quote: TurnQuote) -> TurnQuoteView:
    """What of a quote is told."""
    return convert(to_builtins(quote), TurnQuoteView)
