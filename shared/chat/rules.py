"""Pure decisions about a chat request: what may be asked, how many tokens it can be, what the provider is sent."""

from typing import Any

from shared.base.units import Rates, Unit
from shared.catalog.errors import ModelUnfit
from shared.catalog.models import Modality, Model, Price
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

IMAGE_ADDRESSES = ("https://", "data:image/")

NOT_FOR_SALE = {
    "audio": "audio output",
    "best_of": "best_of",
    "chat_template": "a chat template of one's own",
    "compound_custom": "a provider's own tools",
    "connectors": "provider web search",
    "enable_search": "provider web search",
    "extra_body": "settings of the provider",
    "max_new_tokens": "another cap than max_tokens",
    "max_output_tokens": "another cap than max_tokens",
    "mm_processor_kwargs": "settings of the image processor",
    "models": "a list of models",
    "n_predict": "another cap than max_tokens",
    "num_predict": "another cap than max_tokens",
    "options": "settings of the provider",
    "plugins": "provider plugins",
    "prediction": "predicted outputs",
    "preset": "provider presets",
    "provider": "provider preferences",
    "route": "provider routing",
    "safety_model": "a second model",
    "search_options": "provider web search",
    "search_parameters": "provider web search",
    "search_settings": "provider web search",
    "service_tier": "service tiers",
    "transforms": "provider transforms",
    "venice_parameters": "provider web search",
    "web_search": "provider web search",
    "web_search_options": "provider web search",
}
"""Fields that would make a provider sell us something else than what was quoted, at a price we have not agreed."""
MEDIA_OF_MESSAGE = ("audio", "files", "images", "videos")
"""Where some providers read media from beside a message's content; images are priced in the content only."""
FIELDS_OF_MESSAGE = frozenset({"content", "role", "tool_calls", "tool_call_id", *MEDIA_OF_MESSAGE})
PART_KINDS = (None, "text", "refusal", "thinking", "reasoning")
PART_FIELDS = frozenset({"type", "text", "refusal", "thinking", "reasoning", "signature", "cache_control"})
"""All that a part of text may carry. Some providers take `video_url` and its like from a part of any type."""


def check_payload(request: ChatRequest, model: Model) -> None:
    """Raise ChatInvalid or ModelUnfit for what cannot be priced. Everything else is the provider's to judge."""
    for name, value in request.others.items():
        # Some providers' parsers ignore case, and would let a second `MODEL` or `Max_Tokens` win over ours.
        plain = name.casefold()
        if plain in ChatRequest.names():
            raise ChatInvalid(f"{plain} is written in lower case.", param=name)
        if plain in NOT_FOR_SALE and value is not None:
            raise ChatInvalid(f"Not offered here: {NOT_FOR_SALE[plain]} ({plain}).", param=name)
        if plain == "modalities" and value not in (None, ["text"]):
            raise ChatInvalid("Only text answers are offered here.", param=name)
    for index, tool in enumerate(request.tools or []):
        if tool.get("type") != "function" or any(name != "type" and name.casefold() == "type" for name in tool):
            raise ChatInvalid("Only tools of type function are offered here.", param=f"tools[{index}]")
    for index, message in enumerate(request.messages):
        for name in message:
            # As above: a parser that ignores case would read these as the fields that we have checked.
            if name != name.casefold() and name.casefold() in FIELDS_OF_MESSAGE:
                raise ChatInvalid(f"{name.casefold()} is written in lower case.", param=f"messages[{index}].{name}")
        for name in MEDIA_OF_MESSAGE:
            if message.get(name):
                raise ChatInvalid("Media are given as parts of the content.", param=f"messages[{index}].{name}")
        _check_content(message.get("content"), model, param=f"messages[{index}].content")


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
        elif part.get("type") not in PART_KINDS or "image_url" in part:
            raise ChatInvalid("Only text and images are accepted here.", param=param)
        if not part.keys() <= PART_FIELDS | {"image_url"}:
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
