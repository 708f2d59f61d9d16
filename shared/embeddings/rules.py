"""Pure decisions about embeddings: what may be asked, what it can cost, what to charge, in which form to answer."""

import base64
import json
import math
import struct
from collections.abc import Mapping
from typing import Any

from shared.base.units import Unit
from shared.catalog.models import Model, Price
from shared.embeddings.errors import EmbeddingInvalid
from shared.embeddings.models import INPUTS_MAX, EmbeddingRequest
from shared.metering.models import Quote, Usage, UsageSource
from shared.metering.rules import quote
from shared.providers.models import ANSWER_BYTES_MAX

TOKENS_OVERHEAD = 16
"""Room in each text for the marks that a model puts around it."""
BYTES_PER_TOKEN = 4
"""The usual length of a token in English. For estimates only; bounds use one byte, since no token is shorter."""
FLOAT_BYTES = 4
NUMBER_BYTES_MAX = 32
"""Of one number as JSON has it. OpenAI writes each on a line of its own."""
DIMENSIONS_USUAL_MAX = 4_096
"""How many numbers an embedding is taken to have where the catalog does not say."""
PACKING = frozenset({"openai"})
"""Providers that answer in base64 where they are asked to. Others are taken to write numbers all the same."""
ITEM_BYTES_MAX = 128
"""What stands around an embedding."""

_OTHER_INPUT = "another input than input"
NOT_FOR_SALE = {
    "contexts": _OTHER_INPUT,
    "documents": _OTHER_INPUT,
    "image": "pictures",
    "images": "pictures",
    "inputs": _OTHER_INPUT,
    "messages": _OTHER_INPUT,
    "models": "a list of models",
    "parameters": "settings of the provider",
    "provider": "provider preferences",
    "query": _OTHER_INPUT,
    "route": "provider routing",
    "service_tier": "service tiers",
    "text": _OTHER_INPUT,
    "texts": _OTHER_INPUT,
}
"""Fields that would make a provider sell us something else than what was quoted, at a price we have not agreed."""


def check(request: EmbeddingRequest, model: Model) -> None:
    """Raise EmbeddingInvalid for what cannot be priced or answered. Everything else is the provider's to judge."""
    for name, value in request.others.items():
        # Some providers' parsers ignore case, and would let a second `MODEL` or `Input` win over ours.
        plain = name.casefold()
        if plain in EmbeddingRequest.names():
            raise EmbeddingInvalid(f"{plain} is written in lower case.", param=name)
        if plain in NOT_FOR_SALE and value is not None:
            raise EmbeddingInvalid(f"Not offered here: {NOT_FOR_SALE[plain]} ({plain}).", param=name)
    inputs = inputs_of(request)
    if not inputs:
        raise EmbeddingInvalid("There is nothing to embed.", param="input")
    if len(inputs) > INPUTS_MAX:
        raise EmbeddingInvalid(f"At most {INPUTS_MAX} texts at once.", param="input")
    if len(inputs) > (answered := inputs_answered_max(request, model)):
        raise EmbeddingInvalid(f"At most {answered} texts of this model fit into an answer so.", param="input")
    for item in inputs:
        tokens = isinstance(item, list) and bool(item) and all(type(token) is int and token >= 0 for token in item)
        if not tokens and not (isinstance(item, str) and item):
            raise EmbeddingInvalid("Each input is a text or a list of tokens, and not empty.", param="input")


def inputs_answered_max(request: EmbeddingRequest, model: Model) -> int:
    """How many embeddings an answer can hold. One that is too long would be billed by the provider, and thrown away.

    A wish for shorter ones does not count, and one for base64 only of providers that are known to fulfil it.
    """
    dimensions = max(model.dimensions or DIMENSIONS_USUAL_MAX, request.dimensions or 0)
    if request.encoding_format == "base64" and all(route.provider in PACKING for route in model.routes):
        item_bytes = -(-dimensions * FLOAT_BYTES // 3) * 4
    else:
        item_bytes = dimensions * NUMBER_BYTES_MAX
    return max(1, ANSWER_BYTES_MAX // (item_bytes + ITEM_BYTES_MAX))


def inputs_of(request: EmbeddingRequest) -> list[Any]:
    """The texts, one after the other, whichever of the four forms they came in."""
    if isinstance(request.input, str) or (request.input and type(request.input[0]) is int):
        return [request.input]
    return request.input


def quote_of(request: EmbeddingRequest, model: Model, price: Price) -> Quote:
    """The worst case: a token for each byte, within what the model reads of one text.

    What we do not know counts with each text: some providers put an instruction before every one of them.
    """
    beside = TOKENS_OVERHEAD + (len(json.dumps(request.others)) if request.others else 0)
    tokens_max = sum(min(_tokens_max(item) + beside, model.context_tokens) for item in inputs_of(request))
    return quote(price.rates(), {Unit.PROMPT_TOKEN: tokens_max}, price_version=model.price_version)


def upstream_payload(request: EmbeddingRequest, upstream_model: str) -> dict[str, Any]:
    """What the provider is sent: the client's own request under the provider's name for the model."""
    ours = {"input": request.input, "encoding_format": request.encoding_format, "dimensions": request.dimensions}
    return {**request.others, **{name: value for name, value in ours.items() if value is not None}} | {
        "model": upstream_model
    }


def usage_of(answer: Mapping[str, Any], request: EmbeddingRequest) -> Usage:
    """What to charge for: the provider's count when it can be one, else ours."""
    reported = answer.get("usage")
    tokens = reported.get("prompt_tokens") if isinstance(reported, dict) else None
    if type(tokens) is int and tokens > 0:
        return Usage({Unit.PROMPT_TOKEN: tokens}, UsageSource.REPORTED)
    estimated = sum(max(1, -(-_tokens_max(item) // BYTES_PER_TOKEN)) for item in inputs_of(request))
    return Usage({Unit.PROMPT_TOKEN: estimated}, UsageSource.ESTIMATED)


def in_form(answer: Mapping[str, Any], request: EmbeddingRequest) -> list[dict[str, Any]]:
    """The embeddings in the form that the client asked for, whichever of the two the provider knows.

    Raise ValueError for an embedding that is neither.
    """
    encode = _to_base64 if request.encoding_format == "base64" else _to_floats
    return [{**item, "embedding": encode(item["embedding"])} for item in answer["data"]]


def _to_base64(embedding: object) -> str:
    if isinstance(embedding, str):
        return embedding
    floats = _to_floats(embedding)
    try:
        return base64.b64encode(struct.pack(f"<{len(floats)}f", *floats)).decode()
    except OverflowError:
        raise ValueError("an embedding holds a number that no single float can be") from None


def _to_floats(embedding: object) -> list[float]:
    floats = embedding if isinstance(embedding, list) else _unpacked(str(embedding))
    if not all(type(number) in (int, float) for number in floats):
        raise ValueError("an embedding holds something that is no number")
    try:
        finite = all(map(math.isfinite, floats))
    except OverflowError:
        finite = False
    if not finite:
        # JSON has no infinity: the answer could not be written.
        raise ValueError("an embedding holds a number without end")
    return floats


def _unpacked(text: str) -> list[float]:
    try:
        packed = base64.b64decode(text, validate=True)
    except ValueError:
        raise ValueError("an embedding is no base64") from None
    if len(packed) % FLOAT_BYTES:
        raise ValueError("an embedding ends in the middle of a number")
    return list(struct.unpack(f"<{len(packed) // FLOAT_BYTES}f", packed))


def _tokens_max(item: object) -> int:
    """Tokens of one text: as many as it has bytes, at most."""
    return len(item.encode(errors="surrogatepass")) if isinstance(item, str) else len(item)  # type: ignore[arg-type]
