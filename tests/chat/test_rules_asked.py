"""What may be asked: everything that can be priced, and nothing else."""

import json

import pytest

from shared.base.errors import CredenceError
from shared.catalog.errors import ModelUnfit
from shared.chat import fields, rules
from shared.chat.errors import ChatInvalid
from shared.chat.models import ChatRequest
from tests.chat.builders import (
    TEXT_MODEL,
    VISION_MODEL,
    function_tool,
    image,
    request_of,
    says,
    text,
)


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
        # OpenRouter hands what it does not know to whoever serves the model: xAI, Alibaba, Venice, Groq, Cohere.
        {"search_parameters": {"mode": "on"}},
        {"enable_search": True},
        {"venice_parameters": {"enable_web_search": "on"}},
        {"compound_custom": {"tools": {"enabled_tools": ["web_search"]}}},
        {"connectors": [{"id": "web-search"}]},
        {"safety_model": "a/guard"},
        # llama.cpp and Ollama: these caps would win over ours.
        {"n_predict": 100_000},
        {"options": {"num_predict": 100_000}},
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


@pytest.mark.parametrize("name", sorted(fields.KNOWN - {"modalities", "chat_template_kwargs"}))
def test_what_a_known_field_says_is_the_providers_to_judge(name: str) -> None:
    """Whoever made it: it changes how an answer is written, and not what is bought."""
    rules.check_payload(request_of(**{name: {"x": 1}}), TEXT_MODEL)


def test_null_stands_for_absent() -> None:
    """Clients write out what they do not use."""
    rules.check_payload(request_of(audio=None, service_tier=None, modalities=["text"], anything=None), TEXT_MODEL)


@pytest.mark.parametrize("name", ["anything", "serviceTier", "web_search_preview", "x" * 300, "Top_P", ""])
def test_a_field_that_nobody_looked_at_is_refused_by_name(name: str) -> None:
    """As OpenAI does: it might make a provider sell something else than was quoted."""
    with pytest.raises(ChatInvalid) as refusal:
        rules.check_payload(request_of(**{name: True}), TEXT_MODEL)

    assert refusal.value.param == name[:100]


@pytest.mark.parametrize(
    "told",
    [
        {"chat_template": "{% for i in range(99999) %}x{% endfor %}"},
        {"enable_thinking": ["x"]},
        {"documents": []},
        [],
        1,
    ],
    ids=json.dumps,
)
def test_a_template_is_told_little(told: object) -> None:
    """Another template inside of its settings would be a prompt of any length: nesting is no way around."""
    with pytest.raises(ChatInvalid) as refusal:
        rules.check_payload(request_of(chat_template_kwargs=told), TEXT_MODEL)

    assert refusal.value.param == "chat_template_kwargs"


def test_thinking_is_switched_by_the_template() -> None:
    """As Qwen's and DeepSeek's models are, where vLLM serves them."""
    rules.check_payload(request_of(chat_template_kwargs={"enable_thinking": False}), TEXT_MODEL)


def test_every_field_that_is_not_for_sale_is_unknown() -> None:
    """No list takes back what another says."""
    assert not fields.KNOWN & fields.NOT_FOR_SALE.keys()
    assert not (fields.KNOWN | fields.NOT_FOR_SALE.keys()) & ChatRequest.names()


@pytest.mark.parametrize("role", [None, "", "User", "alien", 7, ["user"]])
def test_a_role_is_one_of_openais(role: object) -> None:
    """Told at once, in one form, whoever would answer."""
    with pytest.raises(ChatInvalid) as refusal:
        rules.check_payload(request_of(says(), {"role": role, "content": "x"}), TEXT_MODEL)

    assert refusal.value.param == "messages[1].role"


@pytest.mark.parametrize("role", ["user", "system", "developer", "tool"])
def test_a_message_of_ours_carries_known_fields_only(role: str) -> None:
    """Some providers read more from one; the assistant's comes from a provider and is given back as it came."""
    rules.check_payload(request_of({**says(role=role), "name": "ada", "refusal": None, "tool_calls": []}), TEXT_MODEL)
    rules.check_payload(request_of({**says(role="assistant"), "reasoning_details": [{"x": 1}]}), TEXT_MODEL)
    with pytest.raises(ChatInvalid) as refusal:
        rules.check_payload(request_of({**says(role=role), "video": "https://example.com/a.mp4"}), TEXT_MODEL)

    assert refusal.value.param == "messages[0].video"


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "web_search"},
        {"type": "code_interpreter"},
        {},
        {"function": {"name": "x"}},
        {"type": "function", "Type": "web_search"},
    ],
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
