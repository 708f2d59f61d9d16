"""A chat's answer in the words of the Responses API, whole or streamed: the other direction of the translation."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from shared.base.clock import Clock
from shared.base.ids import RequestId
from shared.providers.models import StreamEvent
from shared.responses import asked
from shared.responses.items import Event
from shared.responses.models import ResponseRequest
from shared.responses.output import Output

INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Why an answer ended before it was finished, by the chat's `finish_reason`."""
FAILED = "error"
_encode = json.JSONEncoder(separators=(",", ":")).encode
"""With escapes for all that is not ASCII: a provider may send half a character, which nothing else can write."""


class Telling:
    """One response while it comes to be: what every telling of it has in common."""

    def __init__(self, request: ResponseRequest, request_id: RequestId, clock: Clock) -> None:
        name = request_id.removeprefix("req_")
        self._clock = clock
        self._shape = {"id": f"resp_{name}", "object": "response", "created_at": clock() // 1_000, **_echo(request)}
        self.output = Output(name)

    def told(self, status: str, **fields: Any) -> dict[str, Any]:
        """The response as it is now."""
        ended_at_s = self._clock() // 1_000 if status == "completed" else None
        standing = {"status": status, "error": None, "incomplete_details": None, "completed_at": ended_at_s}
        return {**self._shape, **standing, "output": self.output.to_list(), "usage": None, **fields}

    def ended(self, finish: object, usage: Mapping[str, Any]) -> dict[str, Any]:
        """The response at its end."""
        fields: dict[str, Any] = {"usage": usage_of(usage)}
        if finish == FAILED:
            return self.told("failed", error=fault_of("The provider failed in the middle of its answer."), **fields)
        if reason := INCOMPLETE.get(str(finish)):
            return self.told("incomplete", incomplete_details={"reason": reason}, **fields)
        return self.told("completed", **fields)


def response_of(telling: Telling, completion: Mapping[str, Any]) -> dict[str, Any]:
    """The whole response that a whole chat completion, charged, makes."""
    choice = _first_choice(completion)
    finish = choice.get("finish_reason")
    telling.output.add(choice.get("message"))
    telling.output.finish(_item_status(finish))
    return telling.ended(finish, completion.get("usage") or {})


class ResponseTeller:
    """Tells a chat's stream as typed, numbered events. Implements the chat's Teller."""

    last = b""
    relays = False

    def __init__(self, telling: Telling) -> None:
        self._telling = telling
        self._finish: object = None
        self._told = 0

    def begin(self) -> bytes:
        """The response with nothing in it yet."""
        kinds = ("response.created", "response.in_progress")
        return self._events({"type": kind, "response": self._telling.told("in_progress")} for kind in kinds)

    def tell(self, event: StreamEvent) -> bytes:
        """What a chunk adds; its end closes every item."""
        choice = _first_choice(event.data or {})
        told = self._events(self._telling.output.add(choice.get("delta")))
        if choice.get("finish_reason"):
            self._finish = choice["finish_reason"]
            told += self._events(self._telling.output.finish(_item_status(self._finish)))
        return told

    def end(self, usage: Mapping[str, Any]) -> bytes:
        """The whole response with its usage and cost."""
        closing = self._events(self._telling.output.finish(_item_status(self._finish)))
        response = self._telling.ended(self._finish, usage)
        return closing + self._events([{"type": f"response.{response['status']}", "response": response}])

    def fail(self, message: str, code: str, usage: Mapping[str, Any] | None) -> bytes:
        """What there is of the response, and why there is no more."""
        # Not told: an item that is done would be taken for whole.
        self._telling.output.finish("incomplete")
        told = usage and usage_of(usage)
        response = self._telling.told("failed", error={**fault_of(message), "type": code}, usage=told)
        return self._events([{"type": "response.failed", "response": response}])

    def _events(self, events: Iterable[Event]) -> bytes:
        return b"".join(map(self._event, events))

    def _event(self, event: Event) -> bytes:
        said = _encode({**event, "sequence_number": self._told})
        self._told += 1
        return f"event: {event['type']}\ndata: {said}\n\n".encode()


def usage_of(usage: Mapping[str, Any]) -> dict[str, Any]:
    """A chat's usage in this API's names, with the cost as it was told there."""
    prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    read, written = _details(usage, "prompt_tokens_details"), _details(usage, "completion_tokens_details")
    cache_writes = _count(read, "cache_creation_tokens") + _count(read, "cache_creation_long_tokens")
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": _count(read, "cached_tokens"), "cache_write_tokens": cache_writes},
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": _count(written, "reasoning_tokens")},
        "total_tokens": prompt + completion,
        **{name: usage[name] for name in ("cost", "cost_details") if name in usage},
    }


def fault_of(message: str) -> dict[str, Any]:
    """An error of ours or a provider's: strict clients know no other code for it."""
    return {"code": "server_error", "message": message}


def _echo(request: ResponseRequest) -> dict[str, Any]:
    """What a response repeats of its request, and what it says of what we do not do."""
    text, reasoning = request.text, request.reasoning
    answer_format = text.format if text and text.format else None
    shown = {"format": {"type": "text"} if answer_format is None else _set(answer_format)}
    return {
        "model": request.model,
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "metadata": request.metadata or {},
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "reasoning": {"effort": reasoning and reasoning.effort, "summary": reasoning and reasoning.summary},
        "temperature": request.temperature,
        "text": {**shown, "verbosity": text.verbosity} if text and text.verbosity else shown,
        "tool_choice": asked.tool_choice_of(request),
        "tools": [{"strict": None, "parameters": None, **_set(tool)} for tool in asked.tools_of(request)],
        "top_p": request.top_p,
        "truncation": "disabled",
        "user": request.user,
        "store": False,
        "background": False,
        "previous_response_id": None,
        "service_tier": "default",
    }


def _set(fields: msgspec.Struct) -> dict[str, Any]:
    return {name: value for name, value in msgspec.to_builtins(fields).items() if value is not None}


def _first_choice(chunk: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first choice, and the only one: no more are asked for."""
    choices = chunk.get("choices")
    listed = choices if isinstance(choices, list) else [choices]
    return next((one for one in listed if isinstance(one, dict) and not one.get("index")), {})


def _item_status(finish: object) -> str:
    return "incomplete" if finish == FAILED or str(finish) in INCOMPLETE else "completed"


def _count(counts: Mapping[str, Any], name: str) -> int:
    count = counts.get(name)
    return count if type(count) is int and count >= 0 else 0


def _details(usage: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    details = usage.get(name)
    return details if isinstance(details, dict) else {}
