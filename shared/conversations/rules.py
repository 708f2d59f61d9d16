"""Pure decisions about conversations: ids, texts, leases, and what a turn changes."""

import hashlib
import re
from typing import Any

import msgspec
from msgspec.structs import replace

from shared.base.ids import AccountId
from shared.base.units import PROMPT_KINDS, Unit
from shared.conversations.errors import ConversationAbsent, ConversationBusy, TextInvalid
from shared.conversations.models import (
    Change,
    Conversation,
    ConversationId,
    Memory,
    Message,
    MessageState,
    Role,
    Running,
    Summary,
    Turn,
    TurnId,
    TurnState,
)
from shared.metering.models import OwedCharge

LEASE_MS = 30_000
"""How long after a process died its conversation still counts as answering."""
ID_CHARS = 32
TITLE_CHARS_MAX = 60
ANSWER_BYTES_MAX = 300_000
"""Of an answer as it is kept; a document has a mebibyte at most, and is written as JSON once."""
MEMORY_CHARS_MAX = 500
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_AROUND_TITLES = " \t\"'`*#_“”„«»"
_REMEMBER = re.compile(r"\s*(?:please\s+)?remember(?:\s+that\b|\s*:)\s*(.+)", re.IGNORECASE)


def conversation_id_of(account_id: AccountId, key: str) -> ConversationId:
    """The same for the same account and key, so that a repeat begins nothing more."""
    return ConversationId("conv_" + hashlib.sha256(f"{account_id}\n{key}".encode()).hexdigest()[:ID_CHARS])


def turn_id_of(key: str) -> TurnId:
    """The same for the same key, which is the client's own within its conversation."""
    return TurnId(hashlib.sha256(key.encode()).hexdigest()[:ID_CHARS])


def hash_of(*asked: Any) -> str:
    """What tells a repeat from another request under the same key."""
    return hashlib.sha256(msgspec.json.encode(asked)).hexdigest()


def check_text(text: str, param: str) -> str:
    """The text. Raise TextInvalid for what a line of text cannot hold."""
    if _CONTROL.search(text):
        raise TextInvalid(param)
    return text


def clean(text: str) -> str:
    """A model's words as they can be kept."""
    kept = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text).encode()
    return kept[:ANSWER_BYTES_MAX].decode(errors="ignore")


def title_of(text: str) -> str:
    """The first words of the first message."""
    words = " ".join(text.split())
    if len(words) <= TITLE_CHARS_MAX:
        return words
    cut = words[: TITLE_CHARS_MAX - 1]
    return (cut.rpartition(" ")[0] or cut) + "…"


def title_said(text: str) -> str:
    """The title in a model's answer: its first line, without the marks that models put around titles."""
    lines = (line.strip(_AROUND_TITLES) for line in text.splitlines())
    return title_of(next((line for line in lines if line), ""))


def asked_to_remember(text: str) -> str | None:
    """What a message that begins with `remember that` or `remember:` asks to keep: the rest of its line."""
    found = _REMEMBER.match(text)
    return (found[1].strip()[:MEMORY_CHARS_MAX] or None) if found else None


def is_answering(conversation: Conversation, now_ms: int) -> bool:
    """Whether a process is at work on it, as far as anybody can tell."""
    return conversation.running is not None and conversation.running.until_ms > now_ms


def check_idle(conversation: Conversation, now_ms: int) -> None:
    """Raise ConversationBusy while a process is at work on it, or while what one died over is not settled."""
    if is_answering(conversation, now_ms) or conversation.pending is not None:
        raise ConversationBusy


def begun(conversation: Conversation, turn: Turn, message: Message | None, now_ms: int) -> Change:
    """The turn's lease is taken, and with it the user's message kept, and what it asks to remember.

    Only then: an answer that is tried again, or made anew, brings back no memory that was erased. Raise
    ConversationBusy.
    """
    check_idle(conversation, now_ms)
    fence = conversation.fence + 1
    running = Running(turn.turn_id, fence, now_ms + LEASE_MS)
    changed = replace(conversation, fence=fence, running=running, updated_at_ms=now_ms)
    if message is not None:
        title = conversation.title or title_of(message.text)
        changed = replace(changed, next_seq=message.seq + 1, asked_seq=message.seq, title=title)
    memory = _memory_of(conversation, turn, message) if message else None
    return Change(changed, (message,) if message else (), turn=turn, memory=memory)


def _memory_of(conversation: Conversation, turn: Turn, message: Message) -> Memory | None:
    text = asked_to_remember(message.text) if conversation.remembers else None
    if not text:
        return None
    return Memory(
        memory_id=turn.turn_id,
        text=text,
        conversation_id=conversation.conversation_id,
        created_at_ms=message.created_at_ms,
    )


def renewed(conversation: Conversation, fence: int, now_ms: int) -> Change | None:
    """The lease lives on, if it is still the one of this fence."""
    running = conversation.running
    if running is None or running.fence != fence:
        return None
    return Change(replace(conversation, running=replace(running, until_ms=now_ms + LEASE_MS)))


def stopping(conversation: Conversation, now_ms: int) -> Change | None:
    """Whoever answers is told to stop; None when nobody does."""
    if conversation.running is None or not is_answering(conversation, now_ms):
        return None
    return Change(replace(conversation, running=replace(conversation.running, stop=True)))


def check_fence(conversation: Conversation, fence: int) -> None:
    """Raise ConversationBusy when another turn has taken over, or ConversationAbsent when all is being deleted."""
    if conversation.is_deleting:
        raise ConversationAbsent
    if conversation.running is None or conversation.running.fence != fence:
        raise ConversationBusy


def written(conversation: Conversation, turn: Turn, answer: Message, owed: OwedCharge | None, now_ms: int) -> Change:
    """The answer is durable under its number, and what it costs beside it; no client sees it yet."""
    numbered = replace(answer, seq=conversation.next_seq)
    done = replace(turn, state=TurnState.WRITTEN, answer=numbered, owed=owed)
    running = conversation.running and replace(conversation.running, until_ms=now_ms + LEASE_MS)
    changed = replace(conversation, next_seq=numbered.seq + 1, pending=turn.turn_id, running=running)
    return Change(changed, turn=done)


def settled(conversation: Conversation, turn: Turn, now_ms: int) -> Change | None:
    """A written step whose charge stands is shown and counted, once. All but a summary end their turn."""
    if conversation.pending != turn.turn_id or turn.answer is None:
        return None
    answer = turn.answer
    changed = replace(
        conversation,
        pending=None,
        updated_at_ms=now_ms,
        prompt_tokens=conversation.prompt_tokens + answer.prompt_tokens,
        completion_tokens=conversation.completion_tokens + answer.completion_tokens,
        charged_micros=conversation.charged_micros + answer.charged_micros,
    )
    done = replace(turn, state=TurnState.DONE, answer=replace(answer, text=""))
    if turn.role is Role.SUMMARY:
        return Change(replace(changed, summary=Summary(answer.text, turn.about_seq)), (answer,), turn=done)
    is_mine = changed.running is not None and changed.running.turn_id == turn.turn_id
    changed = replace(changed, running=None if is_mine else changed.running)
    if turn.role is Role.TITLE:
        return Change(replace(changed, title=title_said(answer.text) or changed.title), (answer,), turn=done)
    changed = replace(changed, turns=changed.turns + 1)
    states = {turn.about_seq: MessageState.SAID, **dict.fromkeys(turn.replaces, MessageState.REPLACED)}
    return Change(changed, (answer,), states, done)


def failed(conversation: Conversation, turn: Turn, fence: int) -> Change | None:
    """The turn is over without an answer; its message waits for another. What is written stays to be settled."""
    if conversation.running is None or conversation.running.fence != fence:
        return None
    ended = None if conversation.pending == turn.turn_id else replace(turn, state=TurnState.FAILED)
    return Change(replace(conversation, running=None), turn=ended)


def counts_of(owed: OwedCharge) -> tuple[int, int]:
    """Tokens of the prompt and of the completion, as the receipt has them."""
    prompt = sum(int(owed.facts.get(unit.value, 0)) for unit in (Unit.PROMPT_TOKEN, *PROMPT_KINDS))
    return prompt, int(owed.facts.get(Unit.COMPLETION_TOKEN.value, 0))
