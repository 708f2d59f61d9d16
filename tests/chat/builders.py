"""Chat requests and catalog rows for tests."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from shared.base.body import shape
from shared.catalog.models import Modality, Model, Price, Route
from shared.chat import rules
from shared.chat.models import ChatRequest
from shared.metering.models import Quote

MILLION = 1_000_000
"""A price of a million micros per million tokens is one micro per token: charges are token counts."""


def model_of(
    modality: Modality = Modality.TEXT,
    *,
    id: str = "maker/model",
    context_tokens: int = 100_000,
    output_tokens_max: int = 8_000,
    image_tokens_max: int = 0,
    prompt_micros_per_mtok: int = MILLION,
    completion_micros_per_mtok: int = MILLION,
    providers: tuple[str, ...] = ("first", "second"),
    **prices: int,
) -> Model:
    """A model at one micro per token, served by two providers under names of their own."""
    price = Price(
        prompt_micros_per_mtok=prompt_micros_per_mtok,
        completion_micros_per_mtok=completion_micros_per_mtok,
        **prices,
    )
    return Model(
        id=id,
        name="A model",
        modality=modality,
        context_tokens=context_tokens,
        output_tokens_max=output_tokens_max,
        image_tokens_max=image_tokens_max or (1_000 if modality is Modality.VISION else 0),
        price=price,
        routes=tuple(Route(provider=name, model=f"{name}/model") for name in providers),
        added="2026-11-21",
    )


TEXT_MODEL = model_of()
VISION_MODEL = model_of(Modality.VISION, id="maker/eyes")


def says(text: object = "hi", role: str = "user") -> dict[str, Any]:
    """One message."""
    return {"role": role, "content": text}


def request_of(*messages: dict[str, Any], **fields: object) -> ChatRequest:
    """A request as it comes out of a body."""
    body = {"model": TEXT_MODEL.id, "messages": list(messages) or [says()], **fields}
    return shape(ChatRequest, body)


def image(address: object = "https://example.com/cat.png", **fields: object) -> dict[str, Any]:
    """A content part with an image."""
    return {"type": "image_url", "image_url": {"url": address, **fields}}


def text(words: str) -> dict[str, Any]:
    """A content part with text."""
    return {"type": "text", "text": words}


def function_tool(**function: object) -> dict[str, Any]:
    """A tool as clients declare it."""
    return {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}, **function}}


FEW = settings(max_examples=40)
"""Enough for shapes; drawing nested ones is what takes time."""
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=8,
)


ROOMY = model_of(context_tokens=10**9)
"""A model whose context never caps a quote."""


def quoted(request: ChatRequest, model: Any = ROOMY) -> Quote:
    assert model.price is not None
    return rules.quote_of(request, model, model.price)
