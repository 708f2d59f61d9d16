"""What a request can cost at most, and what the provider is asked for."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.base.units import Unit
from shared.chat import rules
from shared.chat.errors import ContextExceeded
from tests.chat.builders import (
    FEW,
    MILLION,
    TEXT_MODEL,
    VISION_MODEL,
    function_tool,
    image,
    json_values,
    model_of,
    quoted,
    request_of,
    says,
    text,
)

SECRET = "\u0001\"\\\n<&'é漢🙂 word"
"""Text that grows when a template writes it as JSON."""


@pytest.mark.parametrize(
    "hide",
    [
        lambda hidden: request_of(says(hidden)),
        lambda hidden: request_of(says([text(hidden)])),
        lambda hidden: request_of(says([hidden])),
        lambda hidden: request_of(says("", role=hidden)),
        lambda hidden: request_of({**says(), "name": hidden}),
        lambda hidden: request_of({**says(), hidden: None}),
        lambda hidden: request_of({**says(), "tool_calls": [{"function": {"arguments": hidden}}]}),
        lambda hidden: request_of({"role": "assistant", "reasoning_content": {"deep": [[hidden]]}}),
        lambda hidden: request_of(tools=[function_tool(description=hidden)]),
        lambda hidden: request_of(tools=[function_tool(parameters={"properties": {hidden: {"enum": [None]}}})]),
        lambda hidden: request_of(tools=[function_tool(image_url={"url": "https://x"}, type="image_url", x=hidden)]),
        lambda hidden: request_of(tools=[{"type": "function", "image_url": {"url": "data:image/png," + hidden}}]),
        lambda hidden: request_of(functions=[{"name": "old", "description": hidden}]),
        lambda hidden: request_of(response_format={"type": "json_schema", "json_schema": {"title": hidden}}),
        lambda hidden: request_of(documents=[{"title": "a", "text": hidden}]),
        lambda hidden: request_of(chat_template_kwargs={"builtin_tools": [hidden]}),
        lambda hidden: request_of(**{hidden: 1}),
    ],
)
def test_text_is_counted_wherever_it_hides(hide: Any) -> None:
    """Byte for byte: no tokenizer makes more tokens than bytes."""
    plain, hidden = quoted(hide("x")), quoted(hide("x" + SECRET * 500))

    grown = len(json.dumps(SECRET, ensure_ascii=False).encode()) - 2
    assert hidden.prompt_tokens_max - plain.prompt_tokens_max >= 500 * grown


def test_tools_are_counted_as_the_longest_json_of_them() -> None:
    """Templates write tools as JSON, some with every character beyond ASCII as an escape of six."""
    tools = [function_tool(description="漢" * 1_000)]

    assert quoted(request_of(tools=tools)).prompt_tokens_max >= len(json.dumps(tools))


@FEW
@given(st.lists(st.dictionaries(st.text(max_size=10), json_values, max_size=4), min_size=1, max_size=4), json_values)
def test_quote_covers_the_request_as_json_without_spaces(messages: list[dict[str, Any]], extra: object) -> None:
    """Whatever is sent, the prompt's bound is at least its bytes, and the quote prices that bound."""
    request = request_of(*messages, extra=extra)

    bound = quoted(request).prompt_tokens_max

    assert bound >= len(json.dumps(messages, ensure_ascii=False, separators=(",", ":")).encode())
    assert quoted(request).amount_micros == bound + rules.COMPLETION_TOKENS_DEFAULT


@given(st.integers(1, 5), st.integers(0, 3_000))
def test_an_image_counts_as_the_most_it_can_be(images: int, address_chars: int) -> None:
    """Not as the length of its address or data."""
    data = "data:image/png;base64," + "A" * address_chars
    model = model_of(VISION_MODEL.modality, context_tokens=10**9, image_tokens_max=5_000)
    plain = quoted(request_of(says([])), model).prompt_tokens_max

    seen = quoted(request_of(says([image(data)] * images)), model).prompt_tokens_max

    assert images * 5_000 <= seen - plain <= images * 5_200


def test_a_quote_stops_at_the_models_context() -> None:
    """A provider reads no more than that, so no more is held."""
    request = request_of(says("x" * 150_000))

    assert quoted(request, TEXT_MODEL).prompt_tokens_max == TEXT_MODEL.context_tokens


def test_a_prompt_that_cannot_fit_is_refused_before_anything_is_held() -> None:
    """With the code that OpenAI's clients know."""
    with pytest.raises(ContextExceeded) as refusal:
        quoted(request_of(says("x" * 2_000_000)), TEXT_MODEL)

    assert refusal.value.code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({}, 4_096),
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 6}, 6),
        ({"max_tokens": 5, "max_completion_tokens": 6}, 5),
        ({"max_tokens": 7, "max_completion_tokens": 6}, 6),
        ({"max_tokens": 10**7}, TEXT_MODEL.output_tokens_max),
    ],
)
def test_the_cap_that_is_quoted_is_the_cap_that_is_sent(fields: dict[str, int], tokens: int) -> None:
    """Under the one name that every provider here knows: a cap that a provider overlooks is no cap."""
    request = request_of(**fields)
    quote = quoted(request, TEXT_MODEL)

    payload = rules.upstream_payload(request, "their/model", quote)

    assert quote.completion_tokens_max == payload["max_tokens"] == tokens
    assert "max_completion_tokens" not in payload


def test_every_choice_is_quoted() -> None:
    """Eight answers may cost eight times one."""
    one, eight = quoted(request_of(max_tokens=100)), quoted(request_of(max_tokens=100, n=8))

    assert eight.amount_micros >= one.amount_micros + 700
    assert eight.choices == 8


def test_the_providers_request_is_the_clients_own_but_for_model_cap_and_usage() -> None:
    """Unknown fields pass; usage is always asked for, and whatever else was asked of the stream is not."""
    message = {**says("hi"), "x-odd": [None]}
    options = {"include_usage": False, "continuous_usage_stats": True}
    request = request_of(message, stream=True, stream_options=options, temperature=0.5, odd={"a": [1]}, user=None)

    payload = rules.upstream_payload(request, "their/model", quoted(request))

    assert payload == {
        "model": "their/model",
        "messages": [message],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 4_096,
        "temperature": 0.5,
        "odd": {"a": [1]},
        "user": None,
    }


def test_the_price_of_writing_a_cache_is_quoted_only_where_it_is_asked_for() -> None:
    """Otherwise every call would hold twice its prompt for what it cannot cost."""
    model = model_of(cache_write_micros_per_mtok=2 * MILLION, cache_write_long_micros_per_mtok=3 * MILLION)
    marked = says([{**text("hello"), "cache_control": {"type": "ephemeral"}}])

    assert Unit.CACHE_WRITE_TOKEN in quoted(request_of(marked), model).rates
    assert Unit.CACHE_WRITE_TOKEN in quoted(request_of(tools=[{**function_tool(), "cache_control": {}}]), model).rates
    assert Unit.CACHE_WRITE_TOKEN not in quoted(request_of(says("cache_control")), model).rates


def test_the_price_of_writing_a_cache_is_quoted_where_a_provider_writes_unasked() -> None:
    """OpenAI does, and has one lifetime to sell: whoever never says `cache_control` is billed for it all the same."""
    model = model_of(context_tokens=10**9, cache_write_micros_per_mtok=2 * MILLION)
    request = request_of(says("hello"))

    quote = quoted(request, model)

    assert quote.rates[Unit.CACHE_WRITE_TOKEN] == 2 * MILLION
    assert quote.amount_micros == 2 * quote.prompt_tokens_max + quote.completion_tokens_max
