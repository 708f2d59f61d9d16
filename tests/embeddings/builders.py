"""Requests for embeddings, what providers answer, and a model that embeds."""

from typing import Any

from shared.base.body import shape
from shared.catalog.models import Modality, Model, Price, Route
from shared.embeddings.models import EmbeddingRequest
from shared.embeddings.service import Embeddings
from tests.chat.conftest import Shop

MILLION = 1_000_000
"""A price of a million micros per million tokens is one micro per token: charges are token counts."""
MODEL = Model(
    id="maker/vectors",
    name="Vectors",
    modality=Modality.EMBEDDING,
    context_tokens=1_000,
    price=Price(prompt_micros_per_mtok=MILLION),
    price_version="7",
    dimensions=8,
    routes=tuple(Route(provider=name, model=f"{name}/vectors") for name in ("first", "second")),
    added="2026-11-21",
)


def request_of(input: object = "Hello", **fields: object) -> EmbeddingRequest:
    """A request as it comes out of a body."""
    return shape(EmbeddingRequest, {"model": MODEL.id, "input": input, **fields})


def embedded(*embeddings: object, usage: object = None) -> dict[str, Any]:
    """What a provider answers."""
    data = [{"object": "embedding", "index": index, "embedding": each} for index, each in enumerate(embeddings)]
    body = {"object": "list", "model": "upstream/vectors", "data": data}
    return body if usage is None else {**body, "usage": usage}


def embeddings_of(shop: Shop) -> Embeddings:
    """The service over the shop's providers and ledger."""
    return Embeddings(*shop.calls(MODEL))
