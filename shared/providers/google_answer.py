"""What Gemini's generateContent answers, in OpenAI's shape, whole and streamed."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from shared.providers.errors import UpstreamUnavailable
from shared.providers.events import parse_object
from shared.providers.models import StreamEvent
from shared.providers.streams import DONE, Chunks

_FINISH = {"STOP": "stop", "MAX_TOKENS": "length", "FUNCTION_CALL": "tool_calls"}
_WITHHELD = frozenset(
    {
        "BLOCKLIST",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "IMAGE_SAFETY",
        "LANGUAGE",
        "MODEL_ARMOR",
        "PROHIBITED_CONTENT",
        "RECITATION",
        "SAFETY",
        "SPII",
    }
)
_FAILED = "error"
"""MALFORMED_FUNCTION_CALL, UNEXPECTED_TOOL_CALL, OTHER and their like: the model did not do what it was asked."""


def completion_of(answer: Mapping[str, Any], *, created_s: int) -> dict[str, Any]:
    """The chat completion. Raise KeyError, TypeError, ValueError or AttributeError for what is no answer."""
    answer_id = str(answer.get("responseId") or f"gemini-{created_s}")
    choices = []
    for candidate in answer.get("candidates") or []:
        said = _said(candidate, calls_before=0, answer_id=answer_id)
        finish = _finish(candidate, called="tool_calls" in said)
        message = {"role": "assistant", "content": None, **said}
        for call in message.get("tool_calls", []):
            del call["index"]
        index = candidate.get("index") or 0
        choices.append({"index": index, "message": message, "finish_reason": finish, "logprobs": None})
    if not choices:
        if not _is_blocked(answer):
            raise ValueError("neither an answer nor a reason why there is none")
        message = {"role": "assistant", "content": None}
        choices = [{"index": 0, "message": message, "finish_reason": "content_filter", "logprobs": None}]
    completion = {
        "id": answer_id,
        "object": "chat.completion",
        "created": created_s,
        "model": str(answer.get("modelVersion") or ""),
        "choices": choices,
    }
    usage = usage_of(answer.get("usageMetadata"))
    return completion if usage is None else {**completion, "usage": usage}


def usage_of(usage: object) -> dict[str, Any] | None:
    """The usage as OpenAI counts. Gemini counts thoughts beside the answer, and the cached part inside the prompt.

    None when a count cannot be one.
    """
    if not isinstance(usage, dict):
        return None
    names = ("promptTokenCount", "toolUsePromptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
    counts = [usage.get(name) or 0 for name in (*names, "cachedContentTokenCount")]
    if any(type(count) is not int or count < 0 for count in counts):
        return None
    prompt, tool_prompt, answer, thoughts, cached = counts
    return {
        "prompt_tokens": prompt + tool_prompt,
        "completion_tokens": answer + thoughts,
        "total_tokens": prompt + tool_prompt + answer + thoughts,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": thoughts},
    }


class GoogleReader:
    """Reads the pieces of one answer and says them as chunks. The end of the body is the only sign of the end."""

    def __init__(self, provider_name: str, *, created_s: int) -> None:
        self._provider_name = provider_name
        self._created_s = created_s
        self._chunks = Chunks(created_s)
        self._answer_id = ""
        self._calls: dict[int, int] = {}
        """How many calls each choice has made; a choice that has begun stands in it."""
        self._ended = False
        self._usage: dict[str, Any] | None = None

    def read(self, text: bytes) -> Iterable[StreamEvent]:
        """The chunks that a piece makes."""
        piece = parse_object(text)
        if piece is not None and piece.get("error"):
            raise UpstreamUnavailable(self._provider_name, "failed in the middle of its answer")
        try:
            if piece is None:
                raise ValueError("no object")
            return tuple(self._read(piece))
        except (KeyError, TypeError, ValueError, AttributeError):
            # A piece without the fields of an answer.
            raise UpstreamUnavailable(self._provider_name, "garbled its answer") from None

    def end(self) -> Iterable[StreamEvent]:
        """The usage and `[DONE]`, when a choice has ended; else the body was cut and nothing is made up."""
        if not self._ended:
            return ()
        return (DONE,) if self._usage is None else (self._chunks.counted(self._usage), DONE)

    def _read(self, piece: Mapping[str, Any]) -> Iterable[StreamEvent]:
        if not self._answer_id:
            self._answer_id = str(piece.get("responseId") or f"gemini-{self._created_s}")
            self._chunks.begin(self._answer_id, piece.get("modelVersion") or "")
        usage = usage_of(piece.get("usageMetadata"))
        self._usage = usage or self._usage
        # A count of nothing written yet is none; every later one counts all so far, and is what a cut stream costs.
        so_far = usage if usage and usage["completion_tokens"] else None
        for candidate in piece.get("candidates") or []:
            yield from self._candidate(candidate, so_far)
        if not piece.get("candidates") and _is_blocked(piece):
            self._ended = True
            yield self._chunks.said({"role": "assistant", "content": ""}, finish="content_filter")

    def _candidate(self, candidate: Mapping[str, Any], usage: Mapping[str, Any] | None) -> Iterable[StreamEvent]:
        index = candidate.get("index") or 0
        begins = index not in self._calls
        said = _said(candidate, calls_before=self._calls.setdefault(index, 0), answer_id=self._answer_id)
        self._calls[index] += len(said.get("tool_calls", []))
        delta = {"role": "assistant", "content": "", **said} if begins else said
        finish = _finish(candidate, called=self._calls[index] > 0) if candidate.get("finishReason") else None
        self._ended = self._ended or finish is not None
        if delta or finish:
            yield self._chunks.said(delta, index=index, finish=finish, usage=usage)


def _said(candidate: Mapping[str, Any], *, calls_before: int, answer_id: str) -> dict[str, Any]:
    """What the parts of a candidate say: text, thoughts and calls, each only if there is any."""
    text: list[str] = []
    thoughts: list[str] = []
    calls: list[dict[str, Any]] = []
    index = candidate.get("index") or 0
    for part in (candidate.get("content") or {}).get("parts") or []:
        if call := part.get("functionCall"):
            number = calls_before + len(calls)
            calls.append(_tool_call(part, call, number, f"call_{answer_id}_{index}_{number}"))
        elif "text" in part:
            (thoughts if part.get("thought") else text).append(str(part["text"]))
    said: dict[str, Any] = {"content": "".join(text)} if text else {}
    if thoughts:
        said["reasoning_content"] = "".join(thoughts)
    if calls:
        said["tool_calls"] = calls
    return said


def _tool_call(part: Mapping[str, Any], call: Mapping[str, Any], number: int, call_id: str) -> dict[str, Any]:
    function = {"name": str(call["name"]), "arguments": json.dumps(call.get("args") or {})}
    told = {"index": number, "id": str(call.get("id") or call_id), "type": "function", "function": function}
    if signature := part.get("thoughtSignature"):
        told["extra_content"] = {"google": {"thought_signature": str(signature)}}
    return told


def _finish(candidate: Mapping[str, Any], *, called: bool) -> str:
    reason = candidate.get("finishReason") or "STOP"
    if reason == "STOP" and called:
        return "tool_calls"
    return "content_filter" if reason in _WITHHELD else _FINISH.get(reason, _FAILED)


def _is_blocked(answer: Mapping[str, Any]) -> bool:
    """True when Gemini withheld the whole answer for what the prompt was."""
    feedback = answer.get("promptFeedback")
    return isinstance(feedback, dict) and bool(feedback.get("blockReason"))
