"""What may be asked, how much it can cost, what was delivered, and what that is charged as."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.base.errors import CredenceError
from shared.catalog.errors import ModelUnfit
from shared.chat import rules
from shared.chat.errors import ChatInvalid, ContextExceeded
from shared.chat.models import ChatRequest, Tally
from shared.metering.models import Quote, Usage, UsageSource
from tests.chat.builders import (
    TEXT_MODEL,
    VISION_MODEL,
    function_tool,
    image,
    model_of,
    request_of,
    says,
    text,
)

ROOMY = model_of(context_tokens=10**9)
"""A model whose context never caps a quote."""


def quoted(request: ChatRequest, model: Any = ROOMY) -> Quote:
    assert model.price is not None
    return rules.quote_of(request, model, model.price)


# What may be asked.


@pytest.mark.parametrize(
    "fields",
    [
        {"audio": {"voice": "alloy"}},
        {"best_of": 20},
        {"chat_template": "{% for i in range(9999) %}word {% endfor %}"},
        {"max_new_tokens": 100_000},
        {"max_output_tokens": 100_000},
        {"mm_processor_kwargs": {"max_pixels": 10**9}},
        {"modalities": ["text", "audio"]},
        {"modalities": "audio"},
        {"models": ["openai/o1-pro"]},
        {"plugins": [{"id": "web"}]},
        {"prediction": {"type": "content", "content": "x"}},
        {"provider": {"order": ["dearest"]}},
        {"service_tier": "priority"},
        {"web_search_options": {}},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_fields_that_buy_something_else_are_refused_by_name(fields: dict[str, object]) -> None:
    """What was not quoted is not bought; the refusal names the field."""
    with pytest.raises(ChatInvalid) as refusal:
        rules.check_payload(request_of(**fields), TEXT_MODEL)

    assert refusal.value.param == next(iter(fields))


@pytest.mark.parametrize("name", ["Max_Tokens", "MODEL", "N", "\u017ftream", "Provider", "max_completion_toKens"])
def test_a_field_in_another_spelling_is_refused(name: str) -> None:
    """Some providers' parsers ignore case, so a second `MODEL` or `Max_Tokens` would win over ours."""
    with pytest.raises(ChatInvalid) as refusal:
        rules.check_payload(request_of(**{name: 1}), TEXT_MODEL)

    assert refusal.value.param == name


def test_fields_we_do_not_know_are_the_providers_to_judge() -> None:
    """Pass-through is the rule; null stands for absent."""
    request = request_of(temperature=0.1, seed=7, audio=None, service_tier=None, modalities=["text"], anything={"x": 1})

    rules.check_payload(request, TEXT_MODEL)


@pytest.mark.parametrize(
    "tool", [{"type": "web_search"}, {"type": "code_interpreter"}, {}, {"function": {"name": "x"}}]
)
def test_only_functions_are_tools(tool: dict[str, object]) -> None:
    """A provider's own tools are sold by the use, which nobody quoted."""
    with pytest.raises(ChatInvalid) as refusal:
        rules.check_payload(request_of(tools=[function_tool(), tool]), TEXT_MODEL)

    assert refusal.value.param == "tools[1]"


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"file_id": "x"}},
        {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}},
        {"type": ["image_url"]},
        {"type": 1},
        {"video_url": {"url": "https://example.com/a.mp4"}},
        {"type": "text", "text": "x", "input_audio": {"data": "AAAA"}},
        {"type": "text", "image_url": "https://example.com/cat.png"},
        {"image_url": {"url": "https://example.com/cat.png"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}, "video_url": {"url": "https://x"}},
        image("http://example.com/cat.png"),
        image("file:///etc/passwd"),
        image("data:text/html,x"),
        image(["https://example.com/cat.png"]),
        image(None),
        {"type": "image_url"},
    ],
    ids=json.dumps,
)
def test_parts_that_cannot_be_priced_are_refused(part: dict[str, object]) -> None:
    """Some providers take a part by the field it carries, whatever its type says: such a part would be unpriced."""
    with pytest.raises(ChatInvalid) as refusal:
        rules.check_payload(request_of(says(), says([text("look"), part])), VISION_MODEL)

    assert refusal.value.param == "messages[1].content"


@pytest.mark.parametrize("content", [{"type": "image_url", "image_url": "https://example.com/x.png"}, 7, True, [["x"]]])
def test_content_of_another_shape_is_refused(content: object) -> None:
    """What is neither text nor a list of parts could hide a part from us."""
    with pytest.raises(ChatInvalid) as refusal:
        rules.check_payload(request_of(says(content)), VISION_MODEL)

    assert refusal.value.param == "messages[0].content"


@pytest.mark.parametrize("field", ["images", "audio", "videos", "files"])
def test_media_beside_the_content_is_refused(field: str) -> None:
    """Some providers read pictures from a field of the message."""
    with pytest.raises(ChatInvalid) as refusal:
        rules.check_payload(request_of({**says(), field: ["AAAA"]}), VISION_MODEL)

    assert refusal.value.param == f"messages[0].{field}"


@pytest.mark.parametrize(
    "message",
    [
        says("text"),
        says(None, role="assistant"),
        {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "look"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "sunny"},
        says([text("a"), {"text": "no type"}, {"type": "refusal", "refusal": "no"}]),
        says(["plain", "strings"]),
        says([{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]),
    ],
    ids=json.dumps,
)
def test_ordinary_messages_are_accepted(message: dict[str, object]) -> None:
    """All that clients and agents send every day."""
    rules.check_payload(request_of(message), TEXT_MODEL)


def test_images_need_a_model_that_sees() -> None:
    """Both spellings of an image are accepted by one, and refused for any other."""
    request = request_of(says([image(), {"type": "image_url", "image_url": "data:image/png;base64,AAAA"}]))

    rules.check_payload(request, VISION_MODEL)
    with pytest.raises(ModelUnfit):
        rules.check_payload(request, TEXT_MODEL)


# What it can cost.

FEW = settings(max_examples=40)
"""Enough for shapes; drawing nested ones is what takes time."""
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=8,
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


def test_half_a_character_counts_as_what_a_provider_makes_of_it() -> None:
    """A lone surrogate becomes a replacement character of three bytes."""
    assert quoted(request_of(says("\ud800" * 1_000))).prompt_tokens_max >= 3_000


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


# What was delivered, and what that is charged as.


def tallied(*chunks: dict[str, Any]) -> Tally:
    tally = Tally()
    for chunk in chunks:
        rules.count_chunk(tally, chunk)
    return tally


def delta(content: object = None, *, finish: object = None, index: int = 0, **fields: object) -> dict[str, Any]:
    said = {} if content is None else {"content": content}
    return {"choices": [{"index": index, "delta": {**said, **fields}, "finish_reason": finish}]}


@FEW
@given(st.dictionaries(st.sampled_from(["choices", "usage", "error", "id"]), json_values, max_size=4))
def test_no_chunk_of_any_shape_makes_counting_fail(chunk: dict[str, Any]) -> None:
    """It is passed on, so it must be survived; and what comes of it can be priced."""
    usage = rules.usage_of(tallied(chunk), request_of(), TEXT_MODEL)

    assert usage is None or (usage.prompt_tokens >= 0 and usage.completion_tokens >= 0)


@FEW
@given(st.lists(st.dictionaries(st.sampled_from(["index", "delta", "message", "finish_reason"]), json_values)))
def test_no_choice_of_any_shape_makes_counting_fail(choices: list[dict[str, Any]]) -> None:
    """The same one level down."""
    rules.usage_of(tallied({"choices": choices}), request_of(), TEXT_MODEL)


REPORTS = [
    ({"prompt_tokens": 10, "completion_tokens": 20}, Usage(10, 20, UsageSource.REPORTED)),
    ({"prompt_tokens": 0, "completion_tokens": 0}, Usage(0, 0, UsageSource.REPORTED)),
    ({"prompt_tokens": 10**12, "completion_tokens": 10**12}, Usage(10**12, 10**12, UsageSource.REPORTED)),
    ({"prompt_tokens": -1, "completion_tokens": 20}, None),
    ({"prompt_tokens": 10, "completion_tokens": -20}, None),
    ({"prompt_tokens": 10}, None),
    ({"prompt_tokens": True, "completion_tokens": True}, None),
    ({"prompt_tokens": 10.0, "completion_tokens": 20.0}, None),
    ({"prompt_tokens": "10", "completion_tokens": "20"}, None),
    ({"prompt_tokens": None, "completion_tokens": None}, None),
    ({}, None),
    (None, None),
    ("20", None),
    ([10, 20], None),
]


@pytest.mark.parametrize(("reported", "expected"), REPORTS, ids=str)
def test_a_report_counts_when_it_can_be_one(reported: object, expected: Usage | None) -> None:
    """An explicit zero is a report; anything that is not two counts is none, and we count."""
    usage = rules.usage_of(tallied(delta("x" * 40, finish="stop"), {"usage": reported}), request_of(), TEXT_MODEL)

    assert usage is not None
    if expected is None:
        assert usage.source is UsageSource.ESTIMATED
        assert usage.completion_tokens == 10
    else:
        assert usage == expected


def test_an_unusable_report_does_not_replace_a_usable_one() -> None:
    """Some providers send an empty usage with their last event."""
    chunks = [delta("x"), {"usage": {"prompt_tokens": 10, "completion_tokens": 20}}, {"usage": {}}]

    assert rules.usage_of(tallied(*chunks), request_of(), TEXT_MODEL) == Usage(10, 20, UsageSource.REPORTED)


def test_what_comes_after_the_last_report_is_counted_by_us() -> None:
    """A provider that counts only the prompt, at the start, would otherwise give the whole answer away."""
    chunks = [{"usage": {"prompt_tokens": 10, "completion_tokens": 1}}, delta("x" * 400)]

    assert rules.usage_of(tallied(*chunks), request_of(), TEXT_MODEL) == Usage(10, 101, UsageSource.ESTIMATED)


@pytest.mark.parametrize(
    "chunk",
    [
        {"choices": []},
        delta("", role="assistant"),
        delta("", finish="stop", tool_calls=[], refusal=None, reasoning=""),
        delta(None, partial=False, audio=None, provider_specific_fields={"stop": None}),
        {"choices": [{"message": {"role": "assistant", "content": None}, "finish_reason": "stop"}]},
    ],
)
def test_no_output_is_free(chunk: dict[str, Any]) -> None:
    """Whatever the provider reports for it."""
    tally = tallied(chunk, {"usage": {"prompt_tokens": 1_000, "completion_tokens": 1_000}})

    assert rules.usage_of(tally, request_of(), TEXT_MODEL) is None


@pytest.mark.parametrize(
    "chunk",
    [
        delta("x"),
        delta(None, reasoning_content="hm"),
        delta(None, reasoning_details=[{"text": "hm"}]),
        delta(None, refusal="no"),
        delta(None, tool_calls=[{"index": 0, "function": {"arguments": "{"}}]),
        {"choices": [{"message": {"content": "x"}}]},
        {"choices": [{"delta": {}, "message": {"content": "x"}}]},
        {"choices": [{"delta": "x"}]},
        {"choices": ["x"]},
        {"choices": [{"text": "x"}]},
    ],
)
def test_output_of_any_kind_is_output(chunk: dict[str, Any]) -> None:
    """Thoughts, tool calls and refusals are delivered too, and so is what a provider puts in an odd place."""
    assert rules.usage_of(tallied(chunk), request_of(), TEXT_MODEL) is not None


def test_an_estimate_counts_the_images_that_were_sent() -> None:
    """Else a client that leaves early would have its pictures read for nothing."""
    plain, seen = request_of(says([text("what?")])), request_of(says([text("what?"), image()]))
    tally = tallied(delta("a cat"))

    without, with_image = (rules.usage_of(tally, request, VISION_MODEL) for request in (plain, seen))

    assert without is not None
    assert with_image is not None
    assert with_image.prompt_tokens - without.prompt_tokens >= VISION_MODEL.image_tokens_max


def test_an_answer_is_finished_when_every_choice_that_began_is() -> None:
    """One of two is not enough."""
    chunks = [delta("a", index=0), delta("b", index=1), delta(finish="stop", index=0)]

    assert not tallied(*chunks).finished
    assert tallied(*chunks, delta(finish="length", index=1)).finished
    assert not tallied({"choices": []}).finished


@given(st.text(min_size=1))
def test_an_estimate_is_never_above_the_quote(content: str) -> None:
    """So an estimated charge is never capped by surprise."""
    request = request_of(says(content), max_tokens=8_000)
    usage = rules.usage_of(tallied(delta("y")), request, TEXT_MODEL)

    assert usage is not None
    assert usage.prompt_tokens <= quoted(request).prompt_tokens_max


def test_refusals_never_repeat_what_was_sent() -> None:
    """Errors reach logs; prompts must not."""
    for request in (
        request_of(says([{"type": "secret-text"}])),
        request_of(tools=[{"type": "secret-text"}]),
        request_of(says([image("secret-text")])),
        request_of(provider="secret-text"),
    ):
        with pytest.raises(CredenceError) as refusal:
            rules.check_payload(request, VISION_MODEL)
        assert "secret-text" not in refusal.value.message
