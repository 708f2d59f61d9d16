"""What a response's request is as a chat, and what is refused by its name."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.base.errors import CredenceError
from shared.chat.models import MESSAGES_MAX
from shared.responses import carried
from shared.responses.asked import chat_of, messages_of, name_here
from shared.responses.errors import ResponseInvalid
from tests.chat.builders import FEW, json_values
from tests.responses.builders import TOOL, request_of

CALL = {
    "type": "function_call",
    "call_id": "c1",
    "name": "look",
    "arguments": "{}",
    "id": "fc_1",
    "status": "completed",
}
ANSWERED = {"type": "function_call_output", "call_id": "c1", "output": "a cat"}
CALLED = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
SAID = {
    "type": "message",
    "role": "assistant",
    "id": "msg_1",
    "content": [{"type": "output_text", "text": "Let me see."}],
}
BLOCKS: list[carried.Block] = [{"type": "thinking", "thinking": "hm", "signature": "s"}]
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": carried.sealed(BLOCKS)}


def test_a_text_is_a_message_of_the_user_after_the_instructions() -> None:
    """The system speaks first."""
    chat = chat_of(request_of("hi", instructions="Be brief."))

    assert chat.messages == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    assert chat.others == {}


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"role": ["user"], "content": "hi"}, "input[0].role"),
        ({"role": "user", "content": [{"type": {"input_text": 1}, "text": "hi"}]}, "input[0].content[0]"),
        ({"type": ["message"], "role": "user", "content": "hi"}, "input[0].type"),
    ],
)
def test_words_of_another_type_are_refused_and_no_defect(item: dict[str, Any], param: str) -> None:
    """A list cannot be looked up in a set."""
    with pytest.raises(ResponseInvalid) as refusal:
        chat_of(request_of([item]))

    assert refusal.value.param == param


def test_settings_have_their_names_of_the_chat() -> None:
    """And what is not set is not sent."""
    schema = {"type": "object", "properties": {}}
    chat = chat_of(
        request_of(
            max_output_tokens=9,
            temperature=0.5,
            top_p=0.9,
            stream=True,
            reasoning={"effort": "low", "summary": "auto"},
            text={
                "format": {"type": "json_schema", "name": "cat", "schema": schema, "strict": True},
                "verbosity": "low",
            },
            tools=[TOOL],
            tool_choice={"type": "function", "name": "look"},
            parallel_tool_calls=False,
            metadata={"a": "b"},
            credence_cache="use",
            store=True,
        )
    )

    assert (chat.max_tokens, chat.stream, chat.credence_cache) == (9, True, "use")
    assert chat.tools == [
        {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}, "strict": True}}
    ]
    assert chat.others == {
        "temperature": 0.5,
        "top_p": 0.9,
        "reasoning_effort": "low",
        "verbosity": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "cat", "schema": schema, "strict": True}},
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "parallel_tool_calls": False,
    }


@pytest.mark.parametrize(("kind", "sent"), [("text", None), ("json_object", {"type": "json_object"})])
def test_a_format_without_a_schema_is_sent_where_it_says_something(kind: str, sent: object) -> None:
    assert chat_of(request_of(text={"format": {"type": kind}})).others.get("response_format") == sent


def test_choices_among_tools_are_sent_with_tools_only() -> None:
    """Some providers refuse them alone; clients send them always."""
    assert chat_of(request_of(tool_choice="auto", parallel_tool_calls=True, tools=[])).others == {}


def test_images_are_parts_of_a_message() -> None:
    """A single text stays a text, which every provider takes."""
    parts = [
        {"type": "input_text", "text": "what?"},
        {"type": "input_image", "image_url": "https://x.org/a", "detail": "auto"},
    ]

    (seen, told) = messages_of([{"role": "user", "content": parts}, {"role": "developer", "content": parts[:1]}])

    assert seen["content"] == [
        {"type": "text", "text": "what?"},
        {"type": "image_url", "image_url": {"url": "https://x.org/a"}},
    ]
    assert told == {"role": "system", "content": "what?"}


def test_a_turn_is_one_message_of_the_assistant() -> None:
    """Thoughts, words and all calls of it, however they are mixed: outputs must follow right after."""
    second = {**CALL, "call_id": "c2", "extra_content": {"google": {"thought_signature": "t"}}}

    messages = messages_of([THOUGHT, SAID, CALL, THOUGHT, second, ANSWERED, {**ANSWERED, "call_id": "c2"}])

    assert messages == [
        {
            "role": "assistant",
            "content": "Let me see.",
            "thinking_blocks": BLOCKS * 2,
            "tool_calls": [CALLED, {**CALLED, "id": "c2", "extra_content": second["extra_content"]}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
        {"role": "tool", "tool_call_id": "c2", "content": "a cat"},
    ]


def test_two_answers_in_a_row_stay_two() -> None:
    """As they were said."""
    messages = messages_of([SAID, {"role": "assistant", "content": "And so on."}])

    assert [message["content"] for message in messages] == ["Let me see.", "And so on."]


def test_words_after_a_call_belong_to_its_turn() -> None:
    """A message between a call and its output would be refused by most providers."""
    (turn, _) = messages_of([SAID, CALL, SAID, ANSWERED])

    assert turn["content"] == [{"type": "text", "text": "Let me see."}] * 2


@pytest.mark.parametrize("opaque", [None, "gAAAA", "bm90IGpzb24=", 7, "W1tdXQ=="])
def test_thoughts_that_are_not_of_ours_are_passed_over(opaque: object) -> None:
    """Such as those of OpenAI, which nobody else can read."""
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": opaque}

    assert messages_of([{"role": "user", "content": "hi"}, thought]) == [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"background": True}, "background"),
        ({"truncation": "auto"}, "truncation"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"include": ["web_search_call.action.sources"]}, "include"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"MAX_OUTPUT_TOKENS": 9}, "MAX_OUTPUT_TOKENS"),
        ({"tools": [TOOL, {"type": "web_search"}]}, "tools[1].type"),
        ({"tools": [{"type": "file_search", "vector_store_ids": []}]}, "tools[0].type"),
        ({"tools": [{"type": "computer_use_preview"}]}, "tools[0].type"),
        ({"tools": [{**TOOL, "defer_loading": True}]}, "tools[0].defer_loading"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [TOOL], "tool_choice": {"type": "web_search"}}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": "look"}, "tool_choice"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].type"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": None}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, "input[0].content[0]"),
        ({"input": [{**CALL, "arguments": {}}]}, "input[0]"),
        ({"input": [{**ANSWERED, "call_id": None}]}, "input[0].call_id"),
        (
            {"input": [{**ANSWERED, "output": [{"type": "input_image", "image_url": "https://x.org/a"}]}]},
            "input[0].output",
        ),
        ({"input": [{"type": "reasoning", "summary": []}]}, "input"),
        ({"input": [{"role": "user", "content": "x"}] * MESSAGES_MAX, "instructions": "one more"}, "input"),
    ],
    ids=str,
)
def test_what_is_not_offered_is_refused_by_its_name(fields: dict[str, Any], param: str) -> None:
    """Nothing is left out in silence."""
    with pytest.raises(ResponseInvalid) as refusal:
        chat_of(request_of(**{"given": fields.pop("input", "hi"), **fields}))

    assert refusal.value.param == param


@pytest.mark.parametrize(
    "fields", [{"previous_response_id": None}, {"background": False}, {"truncation": "disabled"}, {"store": True}]
)
def test_saying_that_something_is_not_wanted_is_no_reason_to_refuse(fields: dict[str, Any]) -> None:
    assert chat_of(request_of(**fields)).others == {}


def test_a_refusal_of_the_chat_names_the_field_as_the_client_knows_it() -> None:
    names = ["messages[3].content", "max_tokens", "response_format", "tools[0]", None]

    assert [name_here(name) for name in names] == ["input", "max_output_tokens", "text.format", "tools[0]", None]


ITEMS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["message", "function_call", "function_call_output", "reasoning"]),
        "role": st.sampled_from(["user", "assistant"]),
    },
    optional=dict.fromkeys(("content", "call_id", "name", "arguments", "output", "encrypted_content"), json_values),
)


@FEW
@given(items=st.lists(ITEMS | st.dictionaries(st.text(max_size=9), json_values), min_size=1, max_size=5))
def test_any_items_make_messages_or_a_refusal(items: list[dict[str, Any]]) -> None:
    """Nothing else can come of them."""
    try:
        chat = chat_of(request_of(items))
    except CredenceError:
        return

    assert all(message["role"] in ("system", "user", "assistant", "tool") for message in chat.messages)
