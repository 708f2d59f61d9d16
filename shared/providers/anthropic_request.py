"""A chat as Anthropic's Messages API takes it: https://docs.claude.com/en/api/messages."""

from collections.abc import Iterable, Mapping
from typing import Any

from shared.providers import asked

_Block = dict[str, Any]
_THINKING_FIELDS = {"thinking": ("type", "thinking", "signature"), "redacted_thinking": ("type", "data")}
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_TOOL_CHOICES = {"auto": "auto", "none": "none", "required": "any", "named": "tool"}


def to_messages(payload: Mapping[str, Any], provider_name: str) -> dict[str, Any]:
    """The request's body. Raise UpstreamRefused for what Anthropic cannot be asked.

    `thinking`, `top_k` and the `cache_control` of parts and tools are Anthropic's own and passed on as they are.
    """
    asked.check_translatable(payload, provider_name)
    if (payload.get("n") or 1) != 1:
        raise asked.refuse(f"The provider {provider_name} gives one choice: n is 1.", "n")
    system, turns = _conversation(payload)
    body: dict[str, Any] = {
        "model": payload["model"],
        "max_tokens": asked.tokens_max(payload),
        "messages": turns,
    }
    if system:
        body["system"] = system
    if payload.get("stream"):
        body["stream"] = True
    if stop := asked.stops(payload):
        body["stop_sequences"] = stop
    if (temperature := payload.get("temperature")) is not None:
        # OpenAI's scale goes to two, Anthropic's to one.
        body["temperature"] = min(temperature, 1) if isinstance(temperature, int | float) else temperature
    for name in ("top_p", "top_k", "thinking"):
        if payload.get(name) is not None:
            body[name] = payload[name]
    if isinstance(payload.get("user"), str):
        body["metadata"] = {"user_id": payload["user"]}
    return {**body, **_tools(payload), **_output(payload, provider_name)}


def _conversation(payload: Mapping[str, Any]) -> tuple[list[_Block], list[dict[str, Any]]]:
    """What the system says, and the turns: messages of one role that follow each other are one turn."""
    system: list[_Block] = []
    turns: list[dict[str, Any]] = []
    for role, message, param in asked.messages(payload):
        if role == "system":
            system += _blocks(message, param)
            continue
        if role == "tool":
            blocks: list[_Block] = [_tool_result(message, param)]
        elif role == "assistant":
            blocks = [*_thinking(message, param), *_blocks(message, param), *_tool_uses(message, param)]
        else:
            blocks = _blocks(message, param)
        speaker = "assistant" if role == "assistant" else "user"
        if not blocks:
            continue
        if turns and turns[-1]["role"] == speaker:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": speaker, "content": blocks})
    return system, turns


def _blocks(message: Mapping[str, Any], param: str) -> list[_Block]:
    blocks = []
    for part in asked.parts(message, param):
        block = _image(part, param) if part["type"] == "image_url" else {"type": "text", "text": part["text"]}
        blocks.append({**block, **_cache_control(part)})
    return blocks


def _image(part: Mapping[str, Any], param: str) -> _Block:
    address = asked.image_address(part, param)
    if data := asked.image_data(address, param):
        media_type, content = data
        return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": content}}
    return {"type": "image", "source": {"type": "url", "url": address}}


def _thinking(message: Mapping[str, Any], param: str) -> Iterable[_Block]:
    """Earlier thoughts, given back as they came: with tools, Anthropic demands its own signed ones."""
    thoughts = message.get("thinking_blocks") or []
    if not isinstance(thoughts, list):
        raise asked.refuse("thinking_blocks is a list.", f"{param}.thinking_blocks")
    for block in thoughts:
        if isinstance(block, dict) and (fields := _THINKING_FIELDS.get(str(block.get("type")))):
            yield {name: block[name] for name in fields if name in block}


def _tool_uses(message: Mapping[str, Any], param: str) -> Iterable[_Block]:
    for call_id, name, arguments, call in asked.tool_calls(message, param):
        block = {"type": "tool_use", "id": asked.plain_id(call_id), "name": name, "input": arguments}
        yield {**block, **_cache_control(call)}


def _tool_result(message: Mapping[str, Any], param: str) -> _Block:
    block: _Block = {"type": "tool_result", "tool_use_id": asked.plain_id(message.get("tool_call_id"))}
    if content := _blocks(message, param):
        block["content"] = content
    return {**block, **_cache_control(message)}


def _tools(payload: Mapping[str, Any]) -> dict[str, Any]:
    tools = []
    for function in asked.functions(payload):
        tool = {"name": function["name"], "input_schema": function.get("parameters") or {"type": "object"}}
        for field in ("description", "strict"):
            if function.get(field):
                tool[field] = function[field]
        tools.append({**tool, **_cache_control(function)})
    if not tools:
        return {}
    kind, name = asked.tool_choice(payload)
    choice: dict[str, Any] = {"type": _TOOL_CHOICES[kind]}
    if name is not None:
        choice["name"] = name
    if payload.get("parallel_tool_calls") is False and kind != "none":
        choice["disable_parallel_tool_use"] = True
    return {"tools": tools, "tool_choice": choice}


def _output(payload: Mapping[str, Any], provider_name: str) -> dict[str, Any]:
    kind, schema = asked.answer_format(payload)
    if kind == "json_object":
        message = f"The provider {provider_name} writes JSON to a schema only: give response_format json_schema."
        raise asked.refuse(message, "response_format")
    output: dict[str, Any] = {}
    if schema is not None:
        output["format"] = {"type": "json_schema", "schema": schema}
    if (effort := payload.get("reasoning_effort")) in _EFFORTS:
        output["effort"] = effort
    return {"output_config": output} if output else {}


def _cache_control(part: Mapping[str, Any]) -> dict[str, Any]:
    return {"cache_control": part["cache_control"]} if isinstance(part.get("cache_control"), dict) else {}
