"""What is asked in the Responses API, as a chat: the one direction of the translation.

Nothing is lost silently. What a chat cannot say, or what would have to be kept between calls, is refused by its name.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from shared.base.body import Misshapen, shape
from shared.chat.models import ChatRequest
from shared.responses import carried
from shared.responses.errors import ResponseInvalid
from shared.responses.models import FunctionTool, ResponseRequest, TextFormat

KEPT_NOWHERE = {
    "conversation": "conversations",
    "previous_response_id": "going on from a stored response; send the earlier items as input",
    "prompt": "stored prompts",
}
INCLUDED = frozenset({"reasoning.encrypted_content"})
"""What we tell of our own accord wherever there is any; the rest belongs to tools that run elsewhere."""
TIERS = frozenset({None, "auto", "default"})
ROLES = ("user", "assistant", "system", "developer")
TEXT_PARTS = ("input_text", "output_text", "text")
"""Tuples, because what a client gives for one of these may be of a type that cannot be looked up in a set."""
CHAT_NAMES = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning.effort",
    "response_format": "text.format",
    "verbosity": "text.verbosity",
}
"""How a chat calls what has another name here: a refusal names what the client sent."""


def chat_of(request: ResponseRequest) -> ChatRequest:
    """The chat that asks the same. Raise ResponseInvalid."""
    _check(request)
    asked: dict[str, Any] = {
        "model": request.model,
        "messages": [*_instructions(request), *messages_of(request.input)],
        "max_tokens": request.max_output_tokens,
        "stream": request.stream,
        "credence_cache": request.credence_cache,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "user": request.user,
        "safety_identifier": request.safety_identifier,
        "prompt_cache_key": request.prompt_cache_key,
        "reasoning_effort": request.reasoning and request.reasoning.effort,
        "verbosity": request.text and request.text.verbosity,
        "response_format": _response_format(request.text.format) if request.text and request.text.format else None,
    }
    if request.tools:
        asked["tools"] = [_chat_tool(tool) for tool in tools_of(request)]
        # Without tools some providers refuse both.
        asked["tool_choice"] = _chat_choice(tool_choice_of(request)) if request.tool_choice else None
        asked["parallel_tool_calls"] = request.parallel_tool_calls
    try:
        return shape(ChatRequest, {name: value for name, value in asked.items() if value is not None})
    except Misshapen as fault:
        raise ResponseInvalid(fault.reason, param=name_here(fault.place)) from None


def name_here(param: str | None) -> str | None:
    """The name in a response's request of a field of the chat that was made of it."""
    head = (param or "").partition("[")[0].partition(".")[0]
    return CHAT_NAMES.get(head, param)


def tools_of(request: ResponseRequest) -> list[FunctionTool]:
    """The functions that the model may call. Raise ResponseInvalid for tools that a provider would run."""
    tools = []
    for index, tool in enumerate(request.tools or []):
        if tool.get("type") != "function":
            raise ResponseInvalid("Only tools of type function are offered here.", param=f"tools[{index}].type")
        try:
            tools.append(shape(FunctionTool, tool))
        except Misshapen as fault:
            raise ResponseInvalid(fault.reason, param=f"tools[{index}].{fault.place}"[:200]) from None
    return tools


def tool_choice_of(request: ResponseRequest) -> str | dict[str, Any]:
    """Which tools the model is to call, in the words of this API."""
    choice = request.tool_choice or "auto"
    if choice in ("auto", "none", "required"):
        return choice
    if isinstance(choice, dict) and choice.get("type") == "function" and isinstance(choice.get("name"), str):
        return {"type": "function", "name": choice["name"]}
    raise ResponseInvalid("tool_choice is auto, none, required or a function.", param="tool_choice")


def messages_of(given: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages that the items are. Thoughts, words and calls of one turn are one message of the assistant."""
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    messages: list[dict[str, Any]] = []
    turn: dict[str, Any] | None = None
    for index, item in enumerate(given):
        param = f"input[{index}]"
        kind = item.get("type") or "message"
        if kind == "message" and item.get("role") != "assistant":
            turn = None
            messages.append(_message(item, param))
        elif kind == "function_call_output":
            turn = None
            messages.append(_output(item, param))
        elif kind in ("message", "function_call", "reasoning"):
            if turn is None or (kind != "function_call" and _has_spoken(turn)):
                turn = {"role": "assistant", "content": None}
                messages.append(turn)
            _add_to_turn(turn, kind, item, param)
        else:
            raise ResponseInvalid("Items of this type are not offered here.", param=f"{param}.type")
    # Thoughts that nothing can be read from leave nothing behind.
    return [message for message in messages if message != {"role": "assistant", "content": None}]


def _check(request: ResponseRequest) -> None:
    for name, value in request.others.items():
        if value is not None:
            what = KEPT_NOWHERE.get(name)
            reason = f"Nothing is stored here, so not offered: {what}." if what else f"Not offered here: {name}."
            raise ResponseInvalid(reason, param=name)
    if request.background:
        raise ResponseInvalid("Nothing is stored here, so not offered: answers in the background.", param="background")
    if request.truncation not in (None, "disabled"):
        raise ResponseInvalid(
            "What does not fit is refused here and not cut: truncation is disabled.", param="truncation"
        )
    if request.service_tier not in TIERS:
        raise ResponseInvalid("Not offered here: service tiers (service_tier).", param="service_tier")
    if not INCLUDED.issuperset(request.include or []):
        raise ResponseInvalid(f"All that can be included here is {', '.join(INCLUDED)}.", param="include")


def _instructions(request: ResponseRequest) -> Iterable[dict[str, Any]]:
    if request.instructions:
        yield {"role": "system", "content": request.instructions}


def _message(item: Mapping[str, Any], param: str) -> dict[str, Any]:
    """What somebody else than the model said. Developers speak as the system, which every provider knows."""
    role = item.get("role")
    if role not in ROLES:
        raise ResponseInvalid("A message's role is user, assistant, system or developer.", param=f"{param}.role")
    content = _content(item.get("content"), f"{param}.content")
    return {"role": "system" if role == "developer" else role, "content": content}


def _has_spoken(turn: Mapping[str, Any]) -> bool:
    """True for words that no call has followed: what comes next is another message. Outputs must follow their calls."""
    return turn["content"] is not None and "tool_calls" not in turn


def _add_to_turn(turn: dict[str, Any], kind: str, item: Mapping[str, Any], param: str) -> None:
    if kind == "reasoning":
        if blocks := carried.blocks_in(item.get("encrypted_content")):
            turn.setdefault("thinking_blocks", []).extend(blocks)
    elif kind == "message":
        said = _content(item.get("content"), f"{param}.content")
        turn["content"] = said if turn["content"] is None else [*_as_parts(turn["content"]), *_as_parts(said)]
    else:
        turn.setdefault("tool_calls", []).append(_tool_call(item, param))


def _content(content: object, param: str) -> str | list[dict[str, Any]]:
    """Text where it is nothing else, which every provider takes, or parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise ResponseInvalid("Content is text or a list of parts.", param=param)
    parts = [_part(part, f"{param}[{index}]") for index, part in enumerate(content)]
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def _part(part: object, param: str) -> dict[str, Any]:
    given = part if isinstance(part, dict) else {}
    kind = given.get("type")
    if kind in TEXT_PARTS and isinstance(text := given.get("text"), str):
        return {"type": "text", "text": text}
    if kind == "refusal" and isinstance(refusal := given.get("refusal"), str):
        return {"type": "refusal", "refusal": refusal}
    if kind == "input_image" and isinstance(address := given.get("image_url"), str):
        detail = given.get("detail")
        # `auto` is what is meant without a word, and some providers know no details.
        shown = {"url": address, "detail": detail} if detail not in (None, "auto") else {"url": address}
        return {"type": "image_url", "image_url": shown}
    if kind == "input_image":
        raise ResponseInvalid("Nothing is stored here: an image is given by its image_url.", param=param)
    raise ResponseInvalid("Only text and images are accepted here.", param=param)


def _as_parts(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _tool_call(item: Mapping[str, Any], param: str) -> dict[str, Any]:
    call_id, name, arguments = item.get("call_id"), item.get("name"), item.get("arguments")
    if not isinstance(call_id, str) or not isinstance(name, str) or not isinstance(arguments, str):
        raise ResponseInvalid("A call has a call_id, a name, and arguments as text.", param=param)
    call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
    # Google's signature of the thoughts behind a call, which it wants back.
    return {**call, "extra_content": extra} if isinstance(extra := item.get("extra_content"), dict) else call


def _output(item: Mapping[str, Any], param: str) -> dict[str, Any]:
    call_id = item.get("call_id")
    if not isinstance(call_id, str):
        raise ResponseInvalid("The output of a call names its call_id.", param=f"{param}.call_id")
    content = _content(item.get("output"), f"{param}.output")
    if any(part["type"] != "text" for part in _as_parts(content)):
        raise ResponseInvalid("The output of a function is text.", param=f"{param}.output")
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def _chat_tool(tool: FunctionTool) -> dict[str, Any]:
    fields = {name: value for name, value in msgspec.to_builtins(tool).items() if name != "type" and value is not None}
    return {"type": "function", "function": fields}


def _chat_choice(choice: str | dict[str, Any]) -> str | dict[str, Any]:
    return choice if isinstance(choice, str) else {"type": "function", "function": {"name": choice["name"]}}


def _response_format(asked: TextFormat) -> dict[str, Any] | None:
    if asked.type != "json_schema":
        return {"type": asked.type} if asked.type == "json_object" else None
    if asked.schema is None or not asked.name:
        raise ResponseInvalid("A json_schema has a name and a schema.", param="text.format")
    fields = {
        "name": asked.name,
        "description": asked.description,
        "schema": asked.schema,
        "strict": asked.strict,
    }
    return {"type": "json_schema", "json_schema": {name: value for name, value in fields.items() if value is not None}}
