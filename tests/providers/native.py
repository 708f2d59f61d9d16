"""What a provider of each wire says, as its own documentation has it, for the scripted provider to send."""

import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from shared.providers.models import Provider, Wire
from tests.providers import fake as says
from tests.providers.fake import FakeProvider, Reply

WORDS = ("He", "llo", " ☃.")
PROMPT_TOKENS, COMPLETION_TOKENS = 11, 7
CALL = {"city": "Paris"}


def named(kind: str, **fields: object) -> bytes:
    """One of Anthropic's events: its type stands twice."""
    return b"event: " + kind.encode() + b"\n" + says.event({"type": kind, **fields})


def message(*content: Mapping[str, Any], stop: str = "end_turn", usage: object = None) -> dict[str, Any]:
    """Anthropic's whole answer."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "upstream/model",
        "content": list(content),
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage or {"input_tokens": PROMPT_TOKENS, "output_tokens": COMPLETION_TOKENS},
    }


def message_start(**usage: object) -> bytes:
    counts = {"input_tokens": PROMPT_TOKENS, "output_tokens": 1, **usage}
    return named("message_start", message={**message(usage=counts), "stop_reason": None})


def block_start(index: int, block: Mapping[str, Any]) -> bytes:
    return named("content_block_start", index=index, content_block=block)


def block_delta(index: int, kind: str, **delta: object) -> bytes:
    return named("content_block_delta", index=index, delta={"type": kind, **delta})


def message_end(stop: str = "end_turn", **usage: object) -> list[bytes]:
    counts = {"output_tokens": COMPLETION_TOKENS, **usage}
    delta = {"stop_reason": stop, "stop_sequence": None}
    return [named("message_delta", delta=delta, usage=counts), named("message_stop")]


def text_message() -> list[bytes]:
    """Anthropic's stream of WORDS."""
    words = [block_delta(0, "text_delta", text=word) for word in WORDS]
    start = [message_start(), block_start(0, {"type": "text", "text": ""}), named("ping")]
    return [*start, *words, named("content_block_stop", index=0), *message_end()]


def candidate(*parts: Mapping[str, Any], finish: str | None = "STOP", index: int = 0) -> dict[str, Any]:
    """One of Gemini's candidates."""
    said = {"index": index, "content": {"role": "model", "parts": list(parts)}}
    return said if finish is None else {**said, "finishReason": finish}


def piece(*candidates: Mapping[str, Any], **usage: int) -> dict[str, Any]:
    """One of Gemini's answers, whole or a piece of a stream."""
    counts = {"promptTokenCount": PROMPT_TOKENS, **usage}
    shape = {"responseId": "r1", "modelVersion": "upstream/model", "usageMetadata": counts}
    return {"candidates": list(candidates), **shape}


def text_pieces() -> list[bytes]:
    """Gemini's stream of WORDS: counts grow with each piece."""
    words = [piece(candidate({"text": word}, finish=None), candidatesTokenCount=n + 1) for n, word in enumerate(WORDS)]
    end = piece(candidate({"text": ""}), candidatesTokenCount=COMPLETION_TOKENS)
    return [says.event(said) for said in (*words, end)]


class Dialect(Struct, frozen=True):
    """How one wire says the same things."""

    wire: Wire
    path: str
    stream_path: str
    key_header: str
    text: dict[str, Any]
    call: dict[str, Any]
    text_stream: list[bytes]
    call_stream: list[bytes]
    refusal: dict[str, Any]

    def provider(self, fake: FakeProvider) -> Provider:
        """The scripted provider as one of this wire."""
        fake.wire = self.wire
        return fake.provider

    def refuse(self, status: int, headers: Mapping[str, str] | None = None) -> Reply:
        """A refusal as this wire words it."""
        return says.refuse(status, json.dumps(self.refusal).encode(), headers)


_OPENAI_CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": json.dumps(CALL)}}
_FUNCTION_CALL = {"functionCall": {"name": "look", "args": CALL}, "thoughtSignature": "c2lnbmVk"}
_USAGE = says.usage(PROMPT_TOKENS, COMPLETION_TOKENS)

OPENAI = Dialect(
    wire=Wire.OPENAI,
    path="/v1/chat/completions",
    stream_path="/v1/chat/completions",
    key_header="Authorization",
    text=says.completion("".join(WORDS), usage=_USAGE),
    call={
        **says.completion(None, usage=_USAGE, tool_calls=[_OPENAI_CALL]),
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": None, "tool_calls": [_OPENAI_CALL]},
                "finish_reason": "tool_calls",
            }
        ],
    },
    text_stream=[
        *map(says.event, [says.chunk("", role="assistant"), *map(says.chunk, WORDS), says.chunk(finish="stop")]),
        says.event(says.usage_chunk(PROMPT_TOKENS, COMPLETION_TOKENS)),
        says.DONE,
    ],
    call_stream=[
        says.event(says.chunk(tool_calls=[{"index": 0, **_OPENAI_CALL}])),
        says.event(says.chunk(finish="tool_calls")),
        says.event(says.usage_chunk(PROMPT_TOKENS, COMPLETION_TOKENS)),
        says.DONE,
    ],
    refusal={"error": {"message": "this will not do", "type": "invalid_request_error", "param": None, "code": None}},
)
ANTHROPIC = Dialect(
    wire=Wire.ANTHROPIC,
    path="/v1/messages",
    stream_path="/v1/messages",
    key_header="x-api-key",
    text=message({"type": "text", "text": "".join(WORDS)}),
    call=message({"type": "tool_use", "id": "toolu_1", "name": "look", "input": CALL}, stop="tool_use"),
    text_stream=text_message(),
    call_stream=[
        message_start(),
        block_start(0, {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}),
        block_delta(0, "input_json_delta", partial_json=""),
        block_delta(0, "input_json_delta", partial_json='{"city": '),
        block_delta(0, "input_json_delta", partial_json='"Paris"}'),
        named("content_block_stop", index=0),
        *message_end("tool_use"),
    ],
    refusal={"type": "error", "error": {"type": "invalid_request_error", "message": "this will not do"}},
)
GOOGLE = Dialect(
    wire=Wire.GOOGLE,
    path="/v1beta/models/upstream%2Fmodel:generateContent",
    stream_path="/v1beta/models/upstream%2Fmodel:streamGenerateContent?alt=sse",
    key_header="x-goog-api-key",
    text=piece(candidate({"text": "".join(WORDS)}), candidatesTokenCount=COMPLETION_TOKENS),
    call=piece(candidate(_FUNCTION_CALL), candidatesTokenCount=COMPLETION_TOKENS),
    text_stream=text_pieces(),
    call_stream=[says.event(piece(candidate(_FUNCTION_CALL), candidatesTokenCount=COMPLETION_TOKENS))],
    refusal={"error": {"code": 400, "message": "this will not do", "status": "INVALID_ARGUMENT"}},
)
DIALECTS = (OPENAI, ANTHROPIC, GOOGLE)
