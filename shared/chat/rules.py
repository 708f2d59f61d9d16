"""Pure decisions about a chat: what may be asked, how many tokens it can be, what was delivered, what to charge for."""

from collections.abc import Iterable, Mapping
from typing import Any

from shared.catalog.errors import ModelUnfit
from shared.catalog.models import Modality, Model, Price
from shared.chat.errors import ChatInvalid, ContextExceeded
from shared.chat.models import ChatRequest, Tally
from shared.metering.models import Quote, TokenPrice, Usage, UsageSource
from shared.metering.rules import quote

COMPLETION_TOKENS_DEFAULT = 4_096
"""The cap of an answer whose length the client left open: the hold must be bounded by something."""
PROMPT_TOKENS_OVERHEAD = 256
"""Room for what a provider's chat template adds of its own."""
NODE_TOKENS_MAX = 8
"""Room for the punctuation that a template puts around one value of the request."""
BYTES_PER_TOKEN = 4
"""The usual length of a token in English. For estimates only; bounds use one byte, since no token is shorter."""
TEXT_BYTES_PER_CONTEXT_TOKEN_MAX = 16
"""A prompt with more bytes than this per token of the context cannot fit, whatever the tokenizer."""

IMAGE_ADDRESSES = ("https://", "data:image/")

NOT_FOR_SALE = {
    "audio": "audio output",
    "best_of": "best_of",
    "models": "a list of models",
    "plugins": "provider plugins",
    "prediction": "predicted outputs",
    "preset": "provider presets",
    "provider": "provider preferences",
    "route": "provider routing",
    "service_tier": "service tiers",
    "transforms": "provider transforms",
    "web_search_options": "provider web search",
}
"""Fields that would make a provider sell us something else than what was quoted, at a price we have not agreed."""


def check_payload(request: ChatRequest, model: Model) -> None:
    """Raise ChatInvalid or ModelUnfit for what cannot be priced. Everything else is the provider's to judge."""
    extra = request.model_extra or {}
    for name, what in NOT_FOR_SALE.items():
        if extra.get(name) is not None:
            raise ChatInvalid(f"{what} ({name}) is not offered here.", param=name)
    if extra.get("modalities") not in (None, ["text"]):
        raise ChatInvalid("Only text answers are offered here.", param="modalities")
    for index, tool in enumerate(request.tools or []):
        if tool.get("type") != "function":
            raise ChatInvalid("Only tools of type function are offered here.", param=f"tools[{index}]")
    for index, part in _parts(request.messages):
        kind = part.get("type")
        if kind == "image_url":
            if model.modality is not Modality.VISION:
                raise ModelUnfit(model.id, "images")
            if not _image_address(part).startswith(IMAGE_ADDRESSES):
                raise ChatInvalid(
                    "An image is given as an https URL or as data:image/...", param=f"messages[{index}].content"
                )
        elif kind not in (None, "text", "image_url", "refusal", "thinking", "reasoning"):
            raise ChatInvalid("Only text and images are accepted here.", param=f"messages[{index}].content")


def quote_of(request: ChatRequest, model: Model, price: Price) -> Quote:
    """The worst case of the request. Raise ContextExceeded when the prompt cannot fit the model at all."""
    text_bytes, nodes, images = _weigh_prompt(request)
    prompt_tokens_min = text_bytes // TEXT_BYTES_PER_CONTEXT_TOKEN_MAX
    if prompt_tokens_min > model.context_tokens:
        raise ContextExceeded(prompt_tokens_min=prompt_tokens_min, context_tokens=model.context_tokens)
    prompt_tokens_max = text_bytes + nodes * NODE_TOKENS_MAX + images * model.image_tokens_max + PROMPT_TOKENS_OVERHEAD
    return quote(
        TokenPrice(price.prompt_micros_per_mtok or 0, price.completion_micros_per_mtok or 0),
        prompt_tokens_max=min(prompt_tokens_max, model.context_tokens),
        completion_tokens_max=completion_tokens_max(request, model),
        choices=request.n or 1,
    )


def completion_tokens_max(request: ChatRequest, model: Model) -> int:
    """The cap that is quoted and sent upstream: what the client asked, or a default, within the model's own."""
    asked = [cap for cap in (request.max_tokens, request.max_completion_tokens) if cap is not None]
    return min(*(asked or [COMPLETION_TOKENS_DEFAULT]), model.output_tokens_max)


def upstream_payload(request: ChatRequest, upstream_model: str, quote: Quote) -> dict[str, Any]:
    """What the provider is sent: the client's own request with our model name, our cap, and usage always asked for."""
    payload = request.model_dump(exclude_unset=True, exclude={"max_tokens", "max_completion_tokens", "stream_options"})
    payload["model"] = upstream_model
    cap_name = "max_tokens" if request.max_completion_tokens is None else "max_completion_tokens"
    payload[cap_name] = quote.completion_tokens_max
    if request.stream:
        payload["stream_options"] = {"include_usage": True}
    return payload


def count_chunk(tally: Tally, chunk: Mapping[str, Any]) -> None:
    """Add one chunk of a stream to the tally. Odd shapes count for nothing rather than fail: they are passed on too."""
    if isinstance(usage := chunk.get("usage"), dict):
        tally.reported = usage
    for choice in _dicts(chunk.get("choices")):
        delta = choice.get("delta") or choice.get("message")
        if isinstance(delta, dict):
            text_bytes, _ = _weigh([value for name, value in delta.items() if name != "role"])
            tally.text_bytes += text_bytes
        if choice.get("finish_reason"):
            tally.finished = True


def tally_of(answer: Mapping[str, Any]) -> Tally:
    """The tally of a whole answer."""
    tally = Tally()
    count_chunk(tally, answer)
    return tally


def usage_of(tally: Tally, request: ChatRequest) -> Usage | None:
    """What to charge for: the provider's count when it can be one, else ours. None when nothing came: that is free."""
    if tally.text_bytes == 0:
        return None
    reported = tally.reported or {}
    counts = [reported.get("prompt_tokens"), reported.get("completion_tokens")]
    if all(type(count) is int and count >= 0 for count in counts):
        return Usage(counts[0], counts[1], UsageSource.REPORTED)  # type: ignore[arg-type]
    prompt_bytes, _, _ = _weigh_prompt(request)
    return Usage(_tokens(prompt_bytes), _tokens(tally.text_bytes), UsageSource.ESTIMATED)


def _tokens(text_bytes: int) -> int:
    return -(-text_bytes // BYTES_PER_TOKEN)


def _weigh_prompt(request: ChatRequest) -> tuple[int, int, int]:
    """Bytes of text, values and images in all that a provider may show to the model.

    An image counts by what the model makes of it, not by the length of its address or data.
    """
    text_bytes, nodes = _weigh([request.messages, request.tools, request.model_extra])
    images = [_image_address(part) for _, part in _parts(request.messages) if part.get("type") == "image_url"]
    return text_bytes - sum(len(address.encode(errors="replace")) for address in images), nodes, len(images)


def _weigh(value: object) -> tuple[int, int]:
    """Bytes of text, and values, in a JSON value."""
    text_bytes = nodes = 0
    pending = [value]
    while pending:
        item = pending.pop()
        nodes += 1
        if isinstance(item, str):
            text_bytes += len(item) if item.isascii() else len(item.encode(errors="replace"))
        elif isinstance(item, dict):
            text_bytes += sum(len(name.encode(errors="replace")) for name in item)
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
        elif item is not None:
            text_bytes += len(str(item))
    return text_bytes, nodes


def _parts(messages: Iterable[Mapping[str, Any]]) -> Iterable[tuple[int, Mapping[str, Any]]]:
    """Every content part of the messages, with its message's index."""
    for index, message in enumerate(messages):
        for part in _dicts(message.get("content")):
            yield index, part


def _image_address(part: Mapping[str, Any]) -> str:
    """Where the image is, or its data: both of the forms that clients send."""
    image = part.get("image_url")
    address = image.get("url") if isinstance(image, dict) else image
    return address if isinstance(address, str) else ""


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
