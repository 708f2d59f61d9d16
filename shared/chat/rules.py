"""Pure decisions about a chat: what may be asked, how many tokens it can be, what was delivered, what to charge for."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from shared.catalog.errors import ModelUnfit
from shared.catalog.models import Modality, Model, Price
from shared.chat.errors import ChatInvalid, ContextExceeded
from shared.chat.models import CHOICES_MAX, ChatRequest, Tally
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
    "chat_template": "a chat template of one's own",
    "max_new_tokens": "another cap than max_tokens",
    "max_output_tokens": "another cap than max_tokens",
    "mm_processor_kwargs": "settings of the image processor",
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
        if tool.get("type") != "function":
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
            if not _image_address(part).startswith(IMAGE_ADDRESSES):
                raise ChatInvalid("An image is given as an https URL or as data:image/...", param=param)
        elif part.get("type") not in PART_KINDS or "image_url" in part:
            raise ChatInvalid("Only text and images are accepted here.", param=param)
        if not part.keys() <= PART_FIELDS | {"image_url"}:
            raise ChatInvalid("A part of the content carries a field that is not accepted here.", param=param)


def needs_of(request: ChatRequest) -> frozenset[str]:
    """Capabilities that the request uses, in the catalog's words: a route that lacks one is not asked."""
    sees = any(part.get("type") == "image_url" for part in _parts(request.messages))
    return frozenset({"tools"} if request.tools else ()) | frozenset({"vision"} if sees else ())


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
    kept = {"messages": request.messages, "n": request.n, "stream": request.stream, "tools": request.tools}
    payload = {name: value for name, value in kept.items() if value is not None} | request.others
    payload["model"] = upstream_model
    # Under this name whatever the client called it: some providers overlook the newer one, and would write on unpaid.
    payload["max_tokens"] = quote.completion_tokens_max
    if request.stream:
        payload["stream_options"] = {"include_usage": True}
    return payload


def count_chunk(tally: Tally, chunk: Mapping[str, Any]) -> None:
    """Add one chunk of a stream to the tally. Odd shapes are counted as they are, since they are passed on too."""
    choices = chunk.get("choices")
    for choice in choices if isinstance(choices, list) else [choices]:
        text_bytes = _delivered_bytes(choice)
        tally.text_bytes += text_bytes
        tally.unreported_bytes += text_bytes
        tally.unreported_pieces += text_bytes > 0
        if isinstance(choice, dict):
            index = choice.get("index")
            known_index = index if type(index) is int and 0 <= index < CHOICES_MAX else 0
            (tally.ended if choice.get("finish_reason") else tally.begun).add(known_index)
    if isinstance(usage := chunk.get("usage"), dict) and _counts(usage):
        tally.reported = usage
        tally.unreported_bytes = tally.unreported_pieces = 0


def tally_of(answer: Mapping[str, Any]) -> Tally:
    """The tally of a whole answer."""
    tally = Tally()
    count_chunk(tally, answer)
    return tally


def usage_of(tally: Tally, request: ChatRequest, model: Model) -> Usage | None:
    """What to charge for: the provider's count when it can be one, else ours. None when nothing came: that is free.

    What came after the provider's last count is added to it: some count the prompt at the start, and no more if cut.
    """
    if tally.text_bytes == 0:
        return None
    # A piece of a stream is at least one token, however short.
    uncounted_tokens = max(_tokens(tally.unreported_bytes), tally.unreported_pieces)
    if counts := _counts(tally.reported or {}):
        prompt_tokens, completion_tokens = counts
        source = UsageSource.ESTIMATED if uncounted_tokens else UsageSource.REPORTED
        return Usage(prompt_tokens, completion_tokens + uncounted_tokens, source)
    prompt_bytes, _, images = _weigh_prompt(request)
    prompt_tokens = min(_tokens(prompt_bytes) + images * model.image_tokens_max, model.context_tokens)
    return Usage(prompt_tokens, uncounted_tokens, UsageSource.ESTIMATED)


def _counts(usage: Mapping[str, Any]) -> tuple[int, int] | None:
    """Tokens of prompt and completion, if the usage states both and both can be counts.

    A completion of no tokens is no count: it is asked for only where text was delivered.
    """
    prompt_tokens, completion_tokens = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if type(prompt_tokens) is int and type(completion_tokens) is int and prompt_tokens >= 0 and completion_tokens > 0:
        return prompt_tokens, completion_tokens
    return None


def _tokens(text_bytes: int) -> int:
    return -(-text_bytes // BYTES_PER_TOKEN)


def _weigh_prompt(request: ChatRequest) -> tuple[int, int, int]:
    """Bytes of text, values and images in all that a provider may show to the model.

    Templates write much of it as JSON, so that is how it is weighed; tools with each character beyond ASCII as an
    escape, which some do. An image counts by what the model makes of it, not by the length of its address or data.
    """
    described = [request.tools, request.others]
    images = [_image_address(part) for part in _parts(request.messages) if part.get("type") == "image_url"]
    text_bytes = _json_bytes(request.messages) + len(json.dumps(described, separators=(",", ":")))
    return text_bytes - _text_bytes(images), _count_values([request.messages, described]), len(images)


def _json_bytes(value: object) -> int:
    # Half a character, which JSON can carry, becomes a replacement character of as many bytes as it has here.
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogatepass"))


def _count_values(value: object) -> int:
    """How many values a JSON value is made of."""
    count, pending = 0, [value]
    while pending:
        item = pending.pop()
        count += 1
        if isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
    return count


def _delivered_bytes(choice: object) -> int:
    """Bytes of text in one choice: all that is said in it, be it content, thoughts or calls of tools."""
    if not isinstance(choice, dict):
        return _text_bytes(choice)
    said = [choice.get("delta"), choice.get("message"), choice.get("text")]
    roles = [part.get("role") for part in said if isinstance(part, dict)]
    return max(_text_bytes(said) - _text_bytes(roles), _logprob_bytes(choice.get("logprobs")))


def _logprob_bytes(logprobs: object) -> int:
    """Bytes of the tokens whose probabilities are told: they are the answer once more, or all that there is of it."""
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    return _text_bytes([token.get("token") for token in tokens if isinstance(token, dict)] if tokens else [])


def _text_bytes(value: object) -> int:
    """Bytes of all strings in a JSON value, names of fields left out."""
    text_bytes, pending = 0, [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            text_bytes += len(item) if item.isascii() else len(item.encode(errors="surrogatepass"))
        elif isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
    return text_bytes


def _parts(messages: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """Every content part of the messages."""
    for message in messages:
        content = message.get("content")
        if isinstance(content, list):
            yield from (part for part in content if isinstance(part, dict))


def _image_address(part: Mapping[str, Any]) -> str:
    """Where the image is, or its data: both of the forms that clients send."""
    image = part.get("image_url")
    address = image.get("url") if isinstance(image, dict) else image
    return address if isinstance(address, str) else ""
