"""What a client asks in OpenAI's shape, read piece by piece for wires that say the same otherwise."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from shared.providers.errors import UpstreamRefused

TOKENS_MAX_DEFAULT = 4_096
"""The cap where a payload has none; some wires demand one."""
_DATA_ADDRESS = re.compile(r"data:(image/[a-z0-9.+-]{1,40});base64,(.*)", re.DOTALL)
_NOT_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")

UNTRANSLATED = {
    "audio": "audio output",
    "function_call": "the older form of tools",
    "functions": "the older form of tools",
    "logit_bias": "logit_bias",
    "logprobs": "logprobs",
    "prediction": "predicted outputs",
    "top_logprobs": "logprobs",
    "web_search_options": "web search",
}
"""Fields that ask for what these wires cannot give, or not in OpenAI's shape. Refused, since an answer without it would
not be what was asked. Fields that only tune the answer (`seed`, penalties) are sent where there is something like them,
and left out where there is not."""


def refuse(message: str, param: str) -> UpstreamRefused:
    """The client's fault, found before the provider is asked."""
    return UpstreamRefused(message, param=param)


def check_translatable(payload: Mapping[str, Any], provider_name: str) -> None:
    """Raise UpstreamRefused for what would be lost."""
    for name, what in UNTRANSLATED.items():
        if payload.get(name):
            raise refuse(f"The provider {provider_name} does not offer {what}.", name)


def tokens_max(payload: Mapping[str, Any]) -> int:
    """The cap of the answer."""
    cap = payload.get("max_completion_tokens") or payload.get("max_tokens") or TOKENS_MAX_DEFAULT
    if type(cap) is not int:
        raise refuse("The cap is a whole number.", "max_tokens")
    return cap


def stops(payload: Mapping[str, Any]) -> list[str]:
    """Where the answer is to end. Raise UpstreamRefused."""
    stop = payload.get("stop") or []
    listed = [stop] if isinstance(stop, str) else stop
    if not isinstance(listed, list):
        raise refuse("stop is a text or a list of texts.", "stop")
    return listed


def messages(payload: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any], str]]:
    """Every message with its role and the name to blame it by; developers speak as the system."""
    for index, message in enumerate(payload["messages"]):
        role = message.get("role")
        if role not in ("system", "developer", "user", "assistant", "tool"):
            raise refuse("A message's role is system, developer, user, assistant or tool.", f"messages[{index}].role")
        yield "system" if role == "developer" else role, message, f"messages[{index}]"


def parts(message: Mapping[str, Any], param: str) -> Iterable[Mapping[str, Any]]:
    """The parts of a message's content: text that is not empty, and images."""
    content = message.get("content")
    listed = content if isinstance(content, list) else [content]
    for part in listed:
        read = {"type": "text", "text": part} if isinstance(part, str) else part
        if read is None:
            continue
        if not isinstance(read, dict):
            raise refuse("A part of the content is an object.", f"{param}.content")
        if read.get("type") == "image_url":
            yield read
        elif isinstance(text := read.get("text") or read.get("refusal"), str):
            yield {**read, "type": "text", "text": text}


def text_of(message: Mapping[str, Any], param: str) -> str:
    """All text of a message."""
    return "\n".join(part["text"] for part in parts(message, param) if part["type"] == "text")


def image_address(part: Mapping[str, Any], param: str) -> str:
    """Where a part's image is, or its data."""
    image = part.get("image_url")
    address = image.get("url") if isinstance(image, dict) else image
    if not isinstance(address, str):
        raise refuse("An image is given as an https URL or as data:image/...", f"{param}.content")
    return address


def image_data(address: str, param: str) -> tuple[str, str] | None:
    """Media type and base64 of an image given as data; None for one that is somewhere else. Raise UpstreamRefused."""
    if not address.startswith("data:"):
        return None
    match = _DATA_ADDRESS.fullmatch(address)
    if match is None:
        raise refuse("An image's data is given as data:image/<type>;base64,<data>.", f"{param}.content")
    return match[1], match[2]


def tool_calls(message: Mapping[str, Any], param: str) -> Iterable[tuple[str, str, dict[str, Any], Mapping[str, Any]]]:
    """Id, name, arguments and the whole of every call that an assistant's message makes. Raise UpstreamRefused."""
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise refuse("tool_calls is a list.", f"{param}.tool_calls")
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise refuse("A tool call names its function.", f"{param}.tool_calls")
        try:
            arguments = json.loads(function.get("arguments") or "{}")
        except (ValueError, TypeError, RecursionError):
            arguments = None
        if not isinstance(arguments, dict):
            raise refuse("A tool call's arguments are an object written as JSON.", f"{param}.tool_calls")
        yield str(call.get("id")), function["name"], arguments, call


def functions(payload: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """The functions that the model may call, each with what stands beside it."""
    for index, tool in enumerate(payload.get("tools") or []):
        function = tool.get("function")
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise refuse("A tool is a function with a name.", f"tools[{index}]")
        yield {**{name: value for name, value in tool.items() if name not in ("type", "function")}, **function}


def tool_choice(payload: Mapping[str, Any]) -> tuple[str, str | None]:
    """`auto`, `none`, `required` or `named`, and the name. Raise UpstreamRefused for another."""
    choice = payload.get("tool_choice") or "auto"
    if choice in ("auto", "none", "required"):
        return choice, None
    function = choice.get("function") if isinstance(choice, dict) else None
    if isinstance(function, dict) and isinstance(function.get("name"), str):
        return "named", function["name"]
    raise refuse("tool_choice is auto, none, required or a function.", "tool_choice")


def answer_format(payload: Mapping[str, Any]) -> tuple[str, Mapping[str, Any] | None]:
    """`text`, `json_object` or `json_schema`, and the schema. Raise UpstreamRefused for another."""
    asked = payload.get("response_format") or {"type": "text"}
    kind = asked.get("type") if isinstance(asked, dict) else None
    if kind in ("text", "json_object"):
        return kind, None
    described = asked.get("json_schema") if kind == "json_schema" else None
    if isinstance(described, dict) and isinstance(described.get("schema"), dict):
        return "json_schema", described["schema"]
    raise refuse("response_format is text, json_object or json_schema with a schema.", "response_format")


def plain_id(call_id: object) -> str:
    """A tool call's id in the letters that every provider takes; ids of other providers' calls may have others."""
    return _NOT_IN_ID.sub("_", str(call_id))
