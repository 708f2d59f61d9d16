"""How an answer is told: OpenAI's chunks, the last of which says what it cost and under which number it is kept."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from shared.base.micros import CREDIT_MICROS
from shared.chat.told import ChatTeller, told_event
from shared.conversations.models import ConversationId, Message
from shared.providers.models import StreamEvent

STOPPED = "stopped"
CUT = "error"
ENDS = {STOPPED: "stop"}
"""What OpenAI's clients know of our reasons."""


class ReplyTeller:
    """Tells a chat's stream, and takes down what was told. Implements the chat's Teller."""

    last = ChatTeller.last
    relays = False

    def __init__(self) -> None:
        self._chat = ChatTeller(tells_usage=False)
        self._said: list[str] = []
        self.finish_reason: str | None = None
        self.failure: tuple[str, str] | None = None
        """The message and the code of what went wrong."""
        self.is_over = False
        """True once there is no more but the end."""
        self.usage: Mapping[str, Any] = {}

    @property
    def text(self) -> str:
        """All words so far."""
        return "".join(self._said)

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def tell(self, event: StreamEvent) -> bytes:
        """The chunk as it came, its words noted."""
        choices = (event.data or {}).get("choices")
        for choice in choices if isinstance(choices, list) else [choices]:
            if isinstance(choice, dict):
                self._note(choice)
        return self._chat.tell(event)

    def end(self, usage: Mapping[str, Any]) -> bytes:
        """Nothing yet: the answer is kept first."""
        self.is_over, self.usage = True, usage
        return b""

    def fail(self, message: str, code: str, usage: Mapping[str, Any] | None) -> bytes:
        """Nothing yet: what was delivered is kept first."""
        self.is_over, self.usage, self.failure = True, usage or {}, (message, code)
        return b""

    def tell_failure(self) -> bytes:
        """The end of an answer that failed."""
        message, code = self.failure or ("The answer failed.", "reply_failed")
        return self._chat.fail(message, code, None) + self.last

    def _note(self, choice: Mapping[str, Any]) -> None:
        delta = choice.get("delta")
        content = delta.get("content") if isinstance(delta, dict) else None
        if isinstance(content, str):
            self._said.append(content)
        elif isinstance(content, list):
            parts = [part.get("text") for part in content if isinstance(part, dict)]
            self._said += [part for part in parts if isinstance(part, str)]
        if isinstance(reason := choice.get("finish_reason"), str):
            self.finish_reason = reason


def told_usage(message: Message, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What an answer used and cost, from what is kept of it."""
    return {
        **(details or {}),
        "prompt_tokens": message.prompt_tokens,
        "completion_tokens": message.completion_tokens,
        "total_tokens": message.prompt_tokens + message.completion_tokens,
        "cost": message.charged_micros / CREDIT_MICROS,
        "cost_details": {"charged_micros": message.charged_micros, "receipt_id": message.receipt_id},
    }


def place_of(conversation_id: ConversationId, message: Message) -> dict[str, Any]:
    """Where an answer is kept, and how it ended in our words."""
    return {"conversation_id": conversation_id, "seq": message.seq, "finish_reason": message.finish_reason}


def envelope(conversation_id: ConversationId, message: Message, kind: str) -> dict[str, Any]:
    """What every chunk and every whole answer says of itself."""
    return {
        "id": f"chatcmpl-{conversation_id}-{message.seq}",
        "object": kind,
        "created": message.created_at_ms // 1_000,
        "model": message.model or "",
    }


def ending(conversation_id: ConversationId, message: Message, details: Mapping[str, Any]) -> bytes:
    """The last events of a stream: why it ended if only we know, what it cost, and `[DONE]`."""
    shape = envelope(conversation_id, message, "chat.completion.chunk")
    events = b""
    if message.finish_reason in ENDS:
        events += told_event({**shape, "choices": [_choice({}, ENDS[message.finish_reason])]})
    told = {"choices": [], "usage": told_usage(message, details), "credence": place_of(conversation_id, message)}
    return events + told_event({**shape, **told}) + ReplyTeller.last


def whole(conversation_id: ConversationId, message: Message) -> dict[str, Any]:
    """An answer as OpenAI tells a whole one."""
    reason = ENDS.get(message.finish_reason or "", message.finish_reason)
    said = {"role": "assistant", "content": message.text, "refusal": None}
    choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": reason}
    return {
        **envelope(conversation_id, message, "chat.completion"),
        "choices": [choice],
        "usage": told_usage(message),
        "credence": place_of(conversation_id, message),
    }


class KeptReply:
    """An answer that is kept, told again to who repeats its request. Nothing is charged."""

    def __init__(self, conversation_id: ConversationId, message: Message) -> None:
        self._conversation_id = conversation_id
        self.message = message
        receipt = {"x-credence-receipt": message.receipt_id} if message.receipt_id else {}
        self.headers = {"x-credence-model": message.model or "", "x-credence-repeat": "yes", **receipt}

    async def events(self) -> AsyncIterator[bytes]:
        """The answer in one piece, and its end."""
        shape = envelope(self._conversation_id, self.message, "chat.completion.chunk")
        said = {"role": "assistant", "content": self.message.text}
        yield told_event({**shape, "choices": [_choice(said, None)]})
        if self.message.finish_reason not in ENDS:
            yield told_event({**shape, "choices": [_choice({}, self.message.finish_reason)]})
        yield ending(self._conversation_id, self.message, {})

    async def finished(self, left: object = None) -> Message:
        """The answer."""
        return self.message

    async def close(self) -> None:
        """Nothing is held."""


def _choice(delta: Mapping[str, Any], reason: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
