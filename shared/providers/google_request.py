"""A chat as Gemini's generateContent takes it: https://ai.google.dev/api/generate-content."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from shared.providers import asked
from shared.providers.pictures import Images

_Part = dict[str, Any]
_TUNING = {
    "frequency_penalty": "frequencyPenalty",
    "n": "candidateCount",
    "presence_penalty": "presencePenalty",
    "seed": "seed",
    "temperature": "temperature",
    "top_k": "topK",
    "top_p": "topP",
}
_TOOL_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "named": "ANY"}
UNSIGNED = "skip_thought_signature_validator"
"""What Google documents in place of the signature of a call that another model made, or whose signature was lost."""


def image_addresses(payload: Mapping[str, Any]) -> list[str]:
    """The addresses of images that stand elsewhere, each once. Raise UpstreamRefused for what is no image."""
    found: dict[str, None] = {}
    for _, message, param in asked.messages(payload):
        for part in asked.parts(message, param):
            if part["type"] == "image_url":
                address = asked.image_address(part, param)
                if asked.image_data(address, param) is None:
                    found[address] = None
    return list(found)


def to_generate_content(payload: Mapping[str, Any], images: Images, provider_name: str) -> dict[str, Any]:
    """The request's body. Raise UpstreamRefused for what Gemini cannot be asked.

    Gemini reads no images from addresses, so `images` are those that we have read.
    """
    asked.check_translatable(payload, provider_name)
    system, contents = _conversation(payload, images)
    body: dict[str, Any] = {"contents": contents, "generationConfig": _generation(payload)}
    if system:
        body["systemInstruction"] = {"parts": system}
    return {**body, **_tools(payload)}


def _conversation(payload: Mapping[str, Any], images: Images) -> tuple[list[_Part], list[dict[str, Any]]]:
    """What the system says, and the turns: messages of one role that follow each other are one turn."""
    system: list[_Part] = []
    contents: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    """The function of every call so far: Gemini's results name the function and not only the call."""
    for role, message, param in asked.messages(payload):
        if role == "system":
            system += _parts(message, images, param)
            continue
        if role == "tool":
            parts: list[_Part] = [_function_response(message, names, param)]
        else:
            parts = [*_parts(message, images, param), *_function_calls(message, names, param)]
        speaker = "model" if role == "assistant" else "user"
        if not parts:
            continue
        if contents and contents[-1]["role"] == speaker:
            contents[-1]["parts"] += parts
        else:
            contents.append({"role": speaker, "parts": parts})
    return system, contents


def _parts(message: Mapping[str, Any], images: Images, param: str) -> list[_Part]:
    return [
        _image(part, images, param) if part["type"] == "image_url" else {"text": part["text"]}
        for part in asked.parts(message, param)
    ]


def _image(part: Mapping[str, Any], images: Images, param: str) -> _Part:
    address = asked.image_address(part, param)
    media_type, content = asked.image_data(address, param) or images[address]
    return {"inlineData": {"mimeType": media_type, "data": content}}


def _function_calls(message: Mapping[str, Any], names: dict[str, str], param: str) -> Iterable[_Part]:
    """The calls of a message. Gemini signs the first of each turn, and wants its signature back."""
    for number, (call_id, name, arguments, call) in enumerate(asked.tool_calls(message, param)):
        names[call_id] = name
        part: _Part = {"functionCall": {"name": name, "args": arguments}}
        signature = _signature(call)
        if signature or number == 0:
            part["thoughtSignature"] = signature or UNSIGNED
        yield part


def _signature(call: Mapping[str, Any]) -> str | None:
    """Where Google's own OpenAI-compatible endpoint puts it."""
    extra = call.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) else None


def _function_response(message: Mapping[str, Any], names: Mapping[str, str], param: str) -> _Part:
    name = names.get(str(message.get("tool_call_id")))
    if name is None:
        raise asked.refuse("A tool's result answers a call made before it.", f"{param}.tool_call_id")
    text = asked.text_of(message, param)
    try:
        result = json.loads(text)
    except (ValueError, RecursionError):
        result = text
    # Gemini takes an object; anything else is wrapped into one.
    return {"functionResponse": {"name": name, "response": result if isinstance(result, dict) else {"result": result}}}


def _generation(payload: Mapping[str, Any]) -> dict[str, Any]:
    generation: dict[str, Any] = {"maxOutputTokens": asked.tokens_max(payload)}
    for name, google_name in _TUNING.items():
        if payload.get(name) is not None:
            generation[google_name] = payload[name]
    if stop := asked.stops(payload):
        generation["stopSequences"] = stop
    kind, schema = asked.answer_format(payload)
    if kind != "text":
        generation["responseMimeType"] = "application/json"
    if schema is not None:
        generation["responseJsonSchema"] = schema
    return generation


def _tools(payload: Mapping[str, Any]) -> dict[str, Any]:
    declarations = []
    for function in asked.functions(payload):
        declaration = {"name": function["name"]}
        if function.get("description"):
            declaration["description"] = function["description"]
        if function.get("parameters"):
            declaration["parametersJsonSchema"] = function["parameters"]
        declarations.append(declaration)
    if not declarations:
        return {}
    kind, name = asked.tool_choice(payload)
    calling: dict[str, Any] = {"mode": _TOOL_MODES[kind]}
    if name is not None:
        calling["allowedFunctionNames"] = [name]
    return {
        "tools": [{"functionDeclarations": declarations}],
        "toolConfig": {"functionCallingConfig": calling},
    }
