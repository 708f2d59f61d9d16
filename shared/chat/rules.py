"""Pure decisions about a chat request: what may be asked, how many tokens it can be, what the provider is sent."""

from collections.abc import Mapping
from typing import Any

from shared.base.units import Rates, Unit
from shared.catalog.errors import ModelUnfit
from shared.catalog.models import Modality, Model, Price
from shared.chat import fields
from shared.chat.errors import ChatInvalid, ContextExceeded
from shared.chat.models import ChatRequest
from shared.chat.weight import image_address, mentions, parts, weigh_prompt
from shared.metering.models import Quote
from shared.metering.rules import quote

COMPLETION_TOKENS_DEFAULT = 4_096
"""The cap of an answer whose length the client left open: the hold must be bounded by something."""
PROMPT_TOKENS_OVERHEAD = 256
"""Room for what a provider's chat template adds of its own."""
CACHE_WRITES = frozenset({Unit.CACHE_WRITE_TOKEN, Unit.CACHE_WRITE_LONG_TOKEN})
NODE_TOKENS_MAX = 8
"""Room for the punctuation that a template puts around one value of the request."""
TEXT_BYTES_PER_CONTEXT_TOKEN_MAX = 16
"""A prompt with more bytes than this per token of the context cannot fit, whatever the tokenizer."""

NAME_CHARS_MAX = 100
"""Of a field's name, told to whoever sent it."""
IMAGE_ADDRESSES = ("https://", "data:image/")


def check_payload(request: ChatRequest, model: Model) -> None:
    """Raise ChatInvalid or ModelUnfit for what cannot be priced. What a field says is the provider's to judge."""
    for name, value in request.others.items():
        _check_field(name, value)
    for index, tool in enumerate(request.tools or []):
        if tool.get("type") != "function" or any(name != "type" and name.casefold() == "type" for name in tool):
            raise ChatInvalid("Only tools of type function are offered here.", param=f"tools[{index}]")
    for index, message in enumerate(request.messages):
        _check_message(message, f"messages[{index}]")
        _check_content(message.get("content"), model, param=f"messages[{index}].content")


def _check_field(name: str, value: object) -> None:
    """Null stands for absent."""
    # Some providers' parsers ignore case, and would let a second `MODEL` or `Max_Tokens` win over ours.
    plain = name.casefold()
    if plain in ChatRequest.names() or (plain in fields.KNOWN and plain != name):
        raise ChatInvalid(f"{plain} is written in lower case.", param=name)
    if value is None:
        return
    if plain in fields.NOT_FOR_SALE:
        raise ChatInvalid(f"Not offered here: {fields.NOT_FOR_SALE[plain]} ({plain}).", param=name)
    if plain not in fields.KNOWN:
        known = name[:NAME_CHARS_MAX]
        raise ChatInvalid(f"There is no such field: {known}.", param=known)
    if plain == "modalities" and value != ["text"]:
        raise ChatInvalid("Only text answers are offered here.", param=name)
    if plain == "chat_template_kwargs" and not _is_template_setting(value):
        told = ", ".join(sorted(fields.TEMPLATE_SETTINGS))
        raise ChatInvalid(f"A template can be told these only: {told}.", param=name)


def _is_template_setting(value: object) -> bool:
    return isinstance(value, dict) and all(
        name in fields.TEMPLATE_SETTINGS and isinstance(setting, bool | str | None) for name, setting in value.items()
    )


def _check_message(message: Mapping[str, Any], param: str) -> None:
    if message.get("role") not in fields.ROLES:
        raise ChatInvalid(f"A role is one of {', '.join(fields.ROLES)}.", param=f"{param}.role")
    for name, value in message.items():
        # As above: a parser that ignores case would read these as the fields that we have checked.
        if name != name.casefold() and name.casefold() in fields.SPELLED:
            raise ChatInvalid(f"{name.casefold()} is written in lower case.", param=f"{param}.{name}")
        if name in fields.MEDIA_OF_MESSAGE and value:
            raise ChatInvalid("Media are given as parts of the content.", param=f"{param}.{name}")
        if message.get("role") != "assistant" and name not in fields.OF_MESSAGE and value:
            raise ChatInvalid("There is no such field.", param=f"{param}.{name[:NAME_CHARS_MAX]}")


def _check_content(content: object, model: Model, *, param: str) -> None:
    if content is None or isinstance(content, str):
        return
    if not isinstance(content, list):
        raise ChatInvalid("Content is text or a list of parts.", param=param)
    for part in content:
        if isinstance(part, str):
            continue
        if not isinstance(part, dict):
            raise ChatInvalid("A part of the content is an object.", param=param)
        if part.get("type") == "image_url":
            if model.modality is not Modality.VISION:
                raise ModelUnfit(model.id, "images")
            if not image_address(part).startswith(IMAGE_ADDRESSES):
                raise ChatInvalid("An image is given as an https URL or as data:image/...", param=param)
        elif part.get("type") not in fields.PART_KINDS or "image_url" in part:
            raise ChatInvalid("Only text and images are accepted here.", param=param)
        if not part.keys() <= fields.OF_PART | {"image_url"}:
            raise ChatInvalid("A part of the content carries a field that is not accepted here.", param=param)


def needs_of(request: ChatRequest) -> frozenset[str]:
    """Capabilities that the request uses, in the catalog's words: a route that lacks one is not asked."""
    sees = any(part.get("type") == "image_url" for part in parts(request.messages))
    return frozenset({"tools"} if request.tools else ()) | frozenset({"vision"} if sees else ())


def quote_of(request: ChatRequest, model: Model, price: Price) -> Quote:
    """The worst case of the request. Raise ContextExceeded when the prompt cannot fit the model at all."""
    text_bytes, nodes, images = weigh_prompt(request)
    prompt_tokens_min = text_bytes // TEXT_BYTES_PER_CONTEXT_TOKEN_MAX
    if prompt_tokens_min > model.context_tokens:
        raise ContextExceeded(prompt_tokens_min=prompt_tokens_min, context_tokens=model.context_tokens)
    prompt_tokens_max = text_bytes + nodes * NODE_TOKENS_MAX + images * model.image_tokens_max + PROMPT_TOKENS_OVERHEAD
    choices = request.n or 1
    counts_max = {
        Unit.PROMPT_TOKEN: min(prompt_tokens_max, model.context_tokens),
        Unit.COMPLETION_TOKEN: completion_tokens_max(request, model) * choices,
    }
    return quote(rates_of(request, price), counts_max, choices=choices, price_version=model.price_version)


def rates_of(request: ChatRequest, price: Price) -> Rates:
    """The rates that the request can meet.

    Anthropic, which sells two lifetimes, writes to its cache at a higher rate only where it is told to. OpenAI, which
    sells one, writes every longer prompt unasked and bills that since GPT-5.6 (its guide to prompt caching).
    """
    rates = price.rates()
    told_to = mentions([request.messages, request.tools, request.others], "cache_control")
    if Unit.CACHE_WRITE_LONG_TOKEN in rates and not told_to:
        rates = {unit: rate for unit, rate in rates.items() if unit not in CACHE_WRITES}
    return rates


def completion_tokens_max(request: ChatRequest, model: Model) -> int:
    """The cap that is quoted and sent upstream: what the client asked, or a default, within the model's own."""
    asked = [cap for cap in (request.max_tokens, request.max_completion_tokens) if cap is not None]
    return min(*(asked or [COMPLETION_TOKENS_DEFAULT]), model.output_tokens_max)


def upstream_payload(request: ChatRequest, upstream_model: str, quote: Quote) -> dict[str, Any]:
    """What the provider is sent: the client's own request with our model name, our cap, and usage always asked for."""
    kept = {"messages": request.messages, "n": request.n, "stream": request.stream, "tools": request.tools}
    payload = {name: value for name, value in kept.items() if value is not None} | request.others
    payload["model"] = upstream_model
    # Under this name whatever the client called it: some providers overlook the newer one, and would write on unpaid.
    payload["max_tokens"] = quote.completion_tokens_max
    if request.stream:
        payload["stream_options"] = {"include_usage": True}
    return payload
