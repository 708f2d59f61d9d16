"""What Anthropic's Messages API answers, in OpenAI's shape, whole and streamed."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from shared.providers.errors import UpstreamUnavailable
from shared.providers.events import parse_object
from shared.providers.models import StreamEvent
from shared.providers.streams import DONE, Chunks

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def completion_of(message: Mapping[str, Any], *, created_s: int) -> dict[str, Any]:
    """The chat completion. Raise KeyError, TypeError or ValueError for what is no message."""
    said: dict[str, Any] = {"role": "assistant", "content": None}
    text, thoughts, thinking_blocks, calls = [], [], [], []
    for block in message["content"]:
        match block["type"]:
            case "text":
                text.append(str(block["text"]))
            case "thinking":
                thoughts.append(str(block["thinking"]))
                thinking_blocks.append(block)
            case "redacted_thinking":
                thinking_blocks.append(block)
            case "tool_use":
                calls.append(_tool_call(block, json.dumps(block["input"])))
    said["content"] = "".join(text) if text else None
    if calls:
        said["tool_calls"] = calls
    if thoughts:
        said["reasoning_content"] = "".join(thoughts)
    if thinking_blocks:
        said["thinking_blocks"] = thinking_blocks
    finish = _FINISH.get(message["stop_reason"], "stop")
    completion = {
        "id": str(message["id"]),
        "object": "chat.completion",
        "created": created_s,
        "model": message["model"],
        "choices": [{"index": 0, "message": said, "finish_reason": finish, "logprobs": None}],
    }
    usage = usage_of(message.get("usage"))
    return completion if usage is None else {**completion, "usage": usage}


def usage_of(usage: object) -> dict[str, Any] | None:
    """The usage as OpenAI counts: all of the prompt in `prompt_tokens`, and of it what was read from the cache.

    Anthropic counts what was read from and written to the cache beside its input tokens. Writes are told by how long
    they are kept: `cache_creation_tokens` five minutes, `cache_creation_long_tokens` an hour. None when a count cannot
    be one.
    """
    if not isinstance(usage, dict):
        return None
    counts = [usage.get(name) or 0 for name in _COUNTS]
    tiers = usage.get("cache_creation") or {}
    long = (tiers.get("ephemeral_1h_input_tokens") or 0) if isinstance(tiers, dict) else 0
    if any(type(count) is not int or count < 0 for count in (*counts, long)):
        return None
    fresh, output, read, written = counts
    long = min(long, written)
    prompt = fresh + read + written
    details: dict[str, Any] = {
        "cached_tokens": read,
        "cache_creation_tokens": written - long,
        "cache_creation_long_tokens": long,
    }
    told = {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": details,
    }
    output_details = usage.get("output_tokens_details")
    thinking = output_details.get("thinking_tokens") if isinstance(output_details, dict) else None
    return {**told, "completion_tokens_details": {"reasoning_tokens": thinking}} if type(thinking) is int else told


class AnthropicReader:
    """Reads the events of one message and says them as chunks."""

    def __init__(self, provider_name: str, *, created_s: int) -> None:
        self._provider_name = provider_name
        self._chunks = Chunks(created_s)
        self._usage: dict[str, Any] = {}
        self._call_of_block: dict[int, int] = {}
        """The number of the tool call that a block is; text and thoughts are none."""

    def read(self, text: bytes) -> Iterable[StreamEvent]:
        """The chunks that an event makes, often none."""
        event = parse_object(text)
        try:
            return tuple(self._read(event or {"type": None}))
        except (KeyError, TypeError, ValueError, AttributeError):
            # An event without the fields of its type.
            raise UpstreamUnavailable(self._provider_name, "garbled its answer") from None

    def end(self) -> Iterable[StreamEvent]:
        """Nothing: a message that has ended said so."""
        return ()

    def _read(self, event: Mapping[str, Any]) -> Iterable[StreamEvent]:
        match event["type"]:
            case "content_block_delta":
                return self._delta(event["index"], event["delta"])
            case "content_block_start":
                return self._block(event["index"], event["content_block"])
            case "message_start":
                return self._start(event["message"])
            case "message_delta":
                return self._finish(event)
            case "message_stop":
                return (DONE,)
            case "error":
                overloaded = event["error"]["type"] == "overloaded_error"
                what = "is overloaded" if overloaded else "failed in the middle of its answer"
                raise UpstreamUnavailable(self._provider_name, what)
            case None:
                raise ValueError("no event")
        # Pings, ends of blocks, and types that are yet to come: "Your code should handle unknown event types".
        return ()

    def _start(self, message: Mapping[str, Any]) -> Iterable[StreamEvent]:
        self._chunks.begin(message["id"], message["model"])
        self._count(message.get("usage"))
        # Told at once: if the stream is cut, this is all that is ever known of the prompt. What has begun is a token.
        usage = usage_of({**self._usage, "output_tokens": max(self._usage.get("output_tokens", 0), 1)})
        return (self._chunks.said({"role": "assistant", "content": ""}, usage=usage),)

    def _block(self, index: int, block: Mapping[str, Any]) -> Iterable[StreamEvent]:
        match block["type"]:
            case "tool_use":
                number = self._call_of_block[index] = len(self._call_of_block)
                call = _tool_call(block, json.dumps(block["input"]) if block.get("input") else "")
                return (self._chunks.said({"tool_calls": [{"index": number, **call}]}),)
            case "text" if block.get("text"):
                return (self._chunks.said({"content": str(block["text"])}),)
            case "redacted_thinking":
                return (self._chunks.said({"thinking_blocks": [dict(block)]}),)
        return ()

    def _delta(self, index: int, delta: Mapping[str, Any]) -> Iterable[StreamEvent]:
        match delta["type"]:
            case "text_delta":
                said: dict[str, Any] = {"content": str(delta["text"])}
            case "input_json_delta":
                function = {"arguments": str(delta["partial_json"])}
                said = {"tool_calls": [{"index": self._call_of_block[index], "function": function}]}
            case "thinking_delta":
                said = {"reasoning_content": str(delta["thinking"])}
            case "signature_delta":
                # The thoughts that it signs have been told; whoever gives the block back puts them together.
                signed = {"type": "thinking", "thinking": "", "signature": str(delta["signature"])}
                said = {"thinking_blocks": [signed]}
            case _:
                return ()
        return (self._chunks.said(said),)

    def _finish(self, event: Mapping[str, Any]) -> Iterable[StreamEvent]:
        self._count(event.get("usage"))
        if reason := event["delta"].get("stop_reason"):
            yield self._chunks.said({}, finish=_FINISH.get(reason, "stop"))
        if (usage := usage_of(self._usage)) is not None:
            yield self._chunks.counted(usage)

    def _count(self, usage: object) -> None:
        """Counts are of the whole message so far, and some events leave out or zero what an earlier one told."""
        for name, count in (usage if isinstance(usage, dict) else {}).items():
            known = self._usage.get(name)
            falls = type(count) is int and type(known) is int and count < known
            if count is not None and not falls:
                self._usage[name] = count


def _tool_call(block: Mapping[str, Any], arguments: str) -> dict[str, Any]:
    function = {"name": str(block["name"]), "arguments": arguments}
    return {"id": str(block["id"]), "type": "function", "function": function}
