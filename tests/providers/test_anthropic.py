"""Anthropic's wire exactly: what it is asked for each thing that a client may ask, and how its counts are told."""

import json
from typing import Any

import pytest

from shared.providers.anthropic_answer import completion_of, usage_of
from shared.providers.anthropic_request import to_messages
from shared.providers.errors import UpstreamRefused, UpstreamUnavailable
from shared.providers.gateway import Upstreams
from tests.providers import fake as says
from tests.providers.fake import FakeProvider
from tests.providers.native import (
    ANTHROPIC,
    COMPLETION_TOKENS,
    PROMPT_TOKENS,
    block_delta,
    block_start,
    message,
    message_end,
    message_start,
    named,
)
from tests.providers.test_wires import PAYLOAD, finishes, last_usage, said_in, streamed

CACHED = {"type": "ephemeral", "ttl": "1h"}
LOOK = {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object"}}}


def body_of(*messages: dict[str, Any], **fields: object) -> dict[str, Any]:
    """The body for these messages, or for one that says hi."""
    payload = {"model": "m", "messages": list(messages) or [{"role": "user", "content": "hi"}], **fields}
    return to_messages(payload, "anthropic")


def test_a_plain_chat_is_asked_with_a_cap() -> None:
    """Anthropic demands one, whether or not the client has stated it."""
    hi = [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]

    assert body_of() == {"model": "m", "max_tokens": 4_096, "messages": hi}
    assert body_of(max_tokens=7)["max_tokens"] == 7
    assert body_of(max_completion_tokens=8, max_tokens=9)["max_tokens"] == 8


def test_the_system_speaks_apart() -> None:
    """Wherever its messages stand, developers among it; what is to be cached is told."""
    body = body_of(
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind.", "cache_control": CACHED}]},
    )

    assert body["system"] == [
        {"type": "text", "text": "Be brief."},
        {"type": "text", "text": "Be kind.", "cache_control": CACHED},
    ]
    assert [turn["role"] for turn in body["messages"]] == ["user"]


def test_a_conversation_with_tools_takes_turns() -> None:
    """Calls become uses; results are the user's and stand together, before what the user says next."""
    body = body_of(
        {"role": "user", "content": "Where?"},
        {
            "role": "assistant",
            "content": "",
            "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s", "extra": 1}],
            "tool_calls": [
                {"id": "call|1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}},
                {"id": "call_2", "type": "function", "function": {"name": "look", "arguments": ""}},
            ],
        },
        {"role": "tool", "tool_call_id": "call|1", "content": "There."},
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "Nowhere."}]},
        {"role": "user", "content": "Thanks."},
    )

    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "tool_use", "id": "call_1", "name": "look", "input": {"a": 1}},
                {"type": "tool_use", "id": "call_2", "name": "look", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "There."}]},
                {"type": "tool_result", "tool_use_id": "call_2", "content": [{"type": "text", "text": "Nowhere."}]},
                {"type": "text", "text": "Thanks."},
            ],
        },
    ]


def test_images_are_given_as_data_or_by_address() -> None:
    """Anthropic reads addresses by itself."""
    parts = [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        {"type": "image_url", "image_url": "https://example.com/cat.png", "cache_control": CACHED},
    ]

    (turn,) = body_of({"role": "user", "content": parts})["messages"]

    assert turn["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/cat.png"}, "cache_control": CACHED},
    ]


@pytest.mark.parametrize(
    ("choice", "parallel", "told"),
    [
        (None, None, {"type": "auto"}),
        ("auto", True, {"type": "auto"}),
        ("none", False, {"type": "none"}),
        ("required", False, {"type": "any", "disable_parallel_tool_use": True}),
        ({"type": "function", "function": {"name": "look"}}, None, {"type": "tool", "name": "look"}),
    ],
)
def test_tools_are_declared_with_the_choice(choice: object, parallel: bool | None, told: dict[str, Any]) -> None:
    """A tool without parameters takes an object of any shape."""
    bare = {"type": "function", "function": {"name": "bare", "strict": True}, "cache_control": CACHED}

    body = body_of(tools=[LOOK, bare], tool_choice=choice, parallel_tool_calls=parallel)

    assert body["tools"] == [
        {"name": "look", "description": "Looks.", "input_schema": {"type": "object"}},
        {"name": "bare", "input_schema": {"type": "object"}, "strict": True, "cache_control": CACHED},
    ]
    assert body["tool_choice"] == told


def test_what_tunes_the_answer_is_translated() -> None:
    """OpenAI's scale of temperature is longer; a schema is a format; what has no counterpart is left out."""
    schema = {"type": "object", "properties": {}}

    body = body_of(
        temperature=1.7,
        top_p=0.9,
        top_k=5,
        stop="END",
        user="u1",
        seed=7,
        presence_penalty=1,
        logprobs=False,
        n=1,
        stream=True,
        stream_options={"include_usage": True},
        reasoning_effort="high",
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
    )

    del body["messages"], body["model"], body["max_tokens"]
    assert body == {
        "temperature": 1,
        "top_p": 0.9,
        "top_k": 5,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u1"},
        "stream": True,
        "output_config": {"format": {"type": "json_schema", "schema": schema}, "effort": "high"},
    }


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"functions": [{"name": "look"}]}, "functions"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"response_format": "json"}, "response_format"),
        ({"tools": [LOOK], "tool_choice": "any"}, "tool_choice"),
        ({"tools": [{"type": "function"}]}, "tools[0]"),
        ({"max_tokens": "7"}, "max_tokens"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [7]}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "data:image/png,x"}]}]},
            "messages[0].content",
        ),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "1"}]}]}, "messages[0].tool_calls"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "x", "arguments": "[1]"}}]}]},
            "messages[0].tool_calls",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_refused_and_named(fields: dict[str, Any], param: str) -> None:
    """Before the provider is asked: an answer to something else would be charged."""
    with pytest.raises(UpstreamRefused) as refusal:
        to_messages({**PAYLOAD, **fields}, "anthropic")

    assert refusal.value.param == param


@pytest.mark.parametrize(
    ("usage", "told"),
    [
        ({"input_tokens": 5, "output_tokens": 3}, (5, 0, 0, 0, 3)),
        (
            {"input_tokens": 5, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 50, "output_tokens": 3},
            (155, 100, 50, 0, 3),
        ),
        (
            {
                "input_tokens": 5,
                "cache_read_input_tokens": 0,
                "cache_creation_input_tokens": 50,
                "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30},
                "output_tokens": 3,
            },
            (55, 0, 20, 30, 3),
        ),
        (
            {"input_tokens": 5, "cache_creation": {"ephemeral_1h_input_tokens": 99}, "output_tokens": None},
            (5, 0, 0, 0, 0),
        ),
    ],
)
def test_prompt_tokens_hold_what_was_read_and_written(usage: dict[str, Any], told: tuple[int, ...]) -> None:
    """Anthropic counts the cache beside its input tokens, OpenAI inside; each write is told by how long it is kept."""
    counted = usage_of(usage)

    assert counted is not None
    details = counted["prompt_tokens_details"]
    assert told == (
        counted["prompt_tokens"],
        details["cached_tokens"],
        details["cache_creation_tokens"],
        details["cache_creation_long_tokens"],
        counted["completion_tokens"],
    )
    assert counted["total_tokens"] == counted["prompt_tokens"] + counted["completion_tokens"]


@pytest.mark.parametrize("count", [-1, 1.5, "7", True, [1]])
def test_what_is_no_count_is_no_usage(count: object) -> None:
    """Then our own count stands."""
    assert usage_of({"input_tokens": count, "output_tokens": 3}) is None


def test_a_usage_that_is_no_object_is_none() -> None:
    """The message is an answer all the same, and no defect of ours."""
    assert "usage" not in completion_of(message({"type": "text", "text": "hi"}, usage=[7]), created_s=0)


async def test_the_prompt_is_known_though_the_stream_is_cut(upstreams: Upstreams, fake: FakeProvider) -> None:
    """It is told in the first chunk, with the token that a message which has begun has at least."""
    events: list[Any] = []
    begun = message_start(cache_read_input_tokens=100, output_tokens=0)
    reply = says.cut(begun, block_delta(0, "text_delta", text="x"))

    with pytest.raises(UpstreamUnavailable):
        await streamed(upstreams, fake, ANTHROPIC, reply, events)

    usage = last_usage(events)
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (PROMPT_TOKENS + 100, 1)
    assert usage["prompt_tokens_details"]["cached_tokens"] == 100


async def test_counts_of_a_stream_only_grow(upstreams: Upstreams, fake: FakeProvider) -> None:
    """The last event counts all, but some senders leave out or zero what the first one told."""
    end = message_end(input_tokens=0, cache_read_input_tokens=None)
    reply = says.stream(message_start(cache_read_input_tokens=100), block_delta(0, "text_delta", text="x"), *end)

    usage = last_usage(await streamed(upstreams, fake, ANTHROPIC, reply))

    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (PROMPT_TOKENS + 100, COMPLETION_TOKENS)


@pytest.mark.parametrize(
    ("stop", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "stop"),
        ("something_new", "stop"),
    ],
)
async def test_each_reason_to_stop_has_its_name(
    upstreams: Upstreams, fake: FakeProvider, stop: str, finish: str
) -> None:
    """Whole and streamed."""
    fake.replies.append(says.whole(message({"type": "text", "text": "x"}, stop=stop)))

    answer = await upstreams.chat(ANTHROPIC.provider(fake), PAYLOAD)
    events = await streamed(upstreams, fake, ANTHROPIC, says.stream(message_start(), *message_end(stop)))

    assert answer["choices"][0]["finish_reason"] == finish
    assert finishes(events) == [finish]


async def test_thoughts_are_told_apart_and_can_be_given_back(upstreams: Upstreams, fake: FakeProvider) -> None:
    """With tools, Anthropic demands its signed thoughts with the next request."""
    blocks = [
        {"type": "thinking", "thinking": "Hm.", "signature": "s1"},
        {"type": "redacted_thinking", "data": "zz"},
        {"type": "text", "text": "Yes."},
    ]
    fake.replies.append(says.whole(message(*blocks)))

    said = (await upstreams.chat(ANTHROPIC.provider(fake), PAYLOAD))["choices"][0]["message"]

    assert (said["content"], said["reasoning_content"], said["thinking_blocks"]) == ("Yes.", "Hm.", blocks[:2])
    again = body_of({"role": "user", "content": "Sure?"}, said)
    assert again["messages"][1]["content"] == blocks


async def test_streamed_thoughts_are_told_apart(upstreams: Upstreams, fake: FakeProvider) -> None:
    """The signature comes when they are thought; unknown events and deltas are passed over."""
    reply = says.stream(
        message_start(),
        block_start(0, {"type": "thinking", "thinking": "", "signature": ""}),
        block_delta(0, "thinking_delta", thinking="H"),
        block_delta(0, "thinking_delta", thinking="m."),
        block_delta(0, "signature_delta", signature="s1"),
        block_delta(0, "delta_to_come", x=1),
        named("event_to_come", x=1),
        block_start(1, {"type": "redacted_thinking", "data": "zz"}),
        block_start(2, {"type": "text", "text": "Y"}),
        block_delta(2, "text_delta", text="es."),
        *message_end(),
    )

    deltas = said_in(await streamed(upstreams, fake, ANTHROPIC, reply))

    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == "Hm."
    assert "".join(delta.get("content") or "" for delta in deltas) == "Yes."
    assert [block for delta in deltas for block in delta.get("thinking_blocks", [])] == [
        {"type": "thinking", "thinking": "", "signature": "s1"},
        {"type": "redacted_thinking", "data": "zz"},
    ]


async def test_two_calls_at_once_stay_two(upstreams: Upstreams, fake: FakeProvider) -> None:
    """Calls are numbered among calls, not among blocks."""
    reply = says.stream(
        message_start(),
        block_start(0, {"type": "text", "text": ""}),
        block_start(1, {"type": "tool_use", "id": "t1", "name": "a", "input": {}}),
        block_delta(1, "input_json_delta", partial_json='{"x":1}'),
        block_start(2, {"type": "tool_use", "id": "t2", "name": "b", "input": {"y": 2}}),
        *message_end("tool_use"),
    )

    calls = [
        call
        for delta in said_in(await streamed(upstreams, fake, ANTHROPIC, reply))
        for call in delta.get("tool_calls", [])
    ]
    assert [(call["index"], call.get("id")) for call in calls] == [(0, "t1"), (0, None), (1, "t2")]
    assert json.loads(calls[2]["function"]["arguments"]) == {"y": 2}


@pytest.mark.parametrize(
    ("error", "told"),
    [("overloaded_error", "is overloaded"), ("api_error", "failed in the middle")],
)
async def test_an_error_in_the_stream_ends_it(upstreams: Upstreams, fake: FakeProvider, error: str, told: str) -> None:
    """Anthropic sends it with status 200."""
    reply = says.stream(message_start(), named("error", error={"type": error, "message": "x"}))

    with pytest.raises(UpstreamUnavailable, match=told):
        await streamed(upstreams, fake, ANTHROPIC, reply)


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "content_block_delta"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta"}},
        {"type": "content_block_delta", "index": 9, "delta": {"type": "input_json_delta", "partial_json": "{"}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use"}},
        {"type": "message_start"},
        {"type": "message_delta", "delta": 7},
        {"type": "error"},
        {"no": "type"},
    ],
    ids=str,
)
async def test_an_event_without_its_fields_is_a_failure(
    upstreams: Upstreams, fake: FakeProvider, fields: dict[str, Any]
) -> None:
    """What it says cannot be told."""
    with pytest.raises(UpstreamUnavailable, match="garbled"):
        await streamed(upstreams, fake, ANTHROPIC, says.stream(message_start(), says.event(fields)))


async def test_the_version_of_the_wire_is_stated(upstreams: Upstreams, fake: FakeProvider) -> None:
    """Anthropic refuses a request without it."""
    fake.replies.append(says.whole(ANTHROPIC.text))

    await upstreams.chat(ANTHROPIC.provider(fake), PAYLOAD)

    assert fake.asked[0].headers["anthropic-version"] == "2023-06-01"


async def test_an_account_without_money_is_not_the_clients_fault(upstreams: Upstreams, fake: FakeProvider) -> None:
    """Anthropic answers 400 to it; another provider may be tried."""
    words = "Your credit balance is too low to access the Anthropic API."
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": words}}
    fake.replies.append(says.whole(error, 400))

    with pytest.raises(UpstreamUnavailable) as failure:
        await upstreams.chat(ANTHROPIC.provider(fake), PAYLOAD)

    assert "credit balance" not in failure.value.message
