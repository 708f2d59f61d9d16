"""What a chat's answer is as a response, whole and streamed; the official client reads every stream."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.responses import carried
from shared.responses.told import response_of, usage_of
from tests.chat.builders import FEW, json_values
from tests.providers import fake
from tests.responses.builders import NOW_S, TOOL, assembled, chunk_event, read, teller_of, telling_of

PART = {"type": "output_text", "annotations": [], "logprobs": []}


def streamed(*chunks: dict[str, Any], **fields: object) -> list[dict[str, Any]]:
    """All that a client reads of these chunks."""
    teller = teller_of(**fields)
    told = teller.begin() + b"".join(teller.tell(chunk_event(chunk)) for chunk in chunks) + teller.end(fake.usage())
    return read(told + teller.last)


def whole(content: object = "Hello.", finish: str = "stop", **message: object) -> dict[str, Any]:
    completion = fake.completion(content, usage=fake.usage(), **message)
    completion["choices"][0]["finish_reason"] = finish
    return response_of(telling_of(), completion)


def calls_of(*arguments: str, index: int = 0, call_id: str | None = "c1") -> list[dict[str, Any]]:
    """The deltas of one call."""
    begun = {"index": index, "id": call_id, "type": "function", "function": {"name": "look", "arguments": ""}}
    pieces = [{"index": index, "function": {"arguments": piece}} for piece in arguments]
    return [fake.chunk(tool_calls=[piece]) for piece in [begun, *pieces]]


def test_a_stream_says_each_step() -> None:
    """In OpenAI's order, ended by the whole response."""
    events = streamed(fake.chunk("", role="assistant"), *map(fake.chunk, ("Hel", "lo.")), fake.chunk(finish="stop"))

    response = assembled(events)
    assert [event["type"].removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert response.output_text == "Hello."
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (10, 20, 30)


def test_a_whole_response_is_told_as_the_streams_last_event() -> None:
    """Both are made by the same code out of the same words."""
    *_, last = streamed(fake.chunk("Hello."), *calls_of("{}"), fake.chunk(finish="tool_calls"))
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}

    assert whole("Hello.", "tool_calls", tool_calls=[call]) == last["response"]


def test_a_response_repeats_its_request() -> None:
    """And says of what we do not do that it was not done."""
    asked: dict[str, Any] = {
        "instructions": "Be brief.",
        "max_output_tokens": 9,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "temperature": 0.5,
        "top_p": 0.9,
        "tool_choice": "required",
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
    }

    told = telling_of(**asked, tools=[TOOL], store=True, reasoning={"effort": "low"}).told("in_progress")

    assert {name: told[name] for name in asked} == asked
    assert told["tools"] == [TOOL]
    assert told["reasoning"] == {"effort": "low", "summary": None}
    assert (told["id"], told["object"], told["created_at"]) == ("resp_1", "response", NOW_S)
    assert (told["store"], told["background"], told["previous_response_id"]) == (False, False, None)
    assert (told["status"], told["output"], told["usage"], told["error"]) == ("in_progress", [], None, None)


def test_calls_are_items_and_their_arguments_come_in_pieces() -> None:
    """Those of several calls may be mixed."""
    first, *rest = calls_of('{"a"', ":1}")
    events = streamed(first, *calls_of("{}", index=1, call_id="c2"), *rest, fake.chunk(finish="tool_calls"))

    one, two = assembled(events).output
    assert one.type == two.type == "function_call"
    assert (one.call_id, one.name, one.arguments, one.status) == ("c1", "look", '{"a":1}', "completed")
    assert (two.call_id, two.arguments) == ("c2", "{}")
    assert [event["arguments"] for event in events if event["type"].endswith("arguments.done")] == ['{"a":1}', "{}"]


def test_a_call_without_an_id_gets_one() -> None:
    """Its output could not be given back otherwise."""
    (call,) = assembled(streamed(*calls_of("{}", call_id=None), fake.chunk(finish="tool_calls"))).output

    assert call.type == "function_call"
    assert call.call_id == "call_1_0"


def test_a_signature_beside_a_call_is_given_back() -> None:
    """Google's own field, on its way through a client that does not know it."""
    signed = {"google": {"thought_signature": "t"}}
    call = {"id": "c1", "function": {"name": "look", "arguments": "{}"}, "extra_content": signed}

    (item,) = whole(None, "tool_calls", tool_calls=[call])["output"]

    assert item["extra_content"] == signed


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thoughts_are_a_summary_before_the_answer(name: str) -> None:
    """By the names that providers have for them."""
    events = streamed(
        *[fake.chunk(**{name: text}) for text in ("h", "m")], fake.chunk("Yes."), fake.chunk(finish="stop")
    )

    thoughts, answer = assembled(events).output
    assert thoughts.type == "reasoning"
    assert [part.text for part in thoughts.summary] == ["hm"]
    assert answer.type == "message"
    deltas = [event["delta"] for event in events if event["type"] == "response.reasoning_summary_text.delta"]
    assert deltas == ["h", "m"]


def test_thoughts_in_parts_of_the_content_are_thoughts() -> None:
    """Mistral writes them there."""
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "Yes."},
    ]

    thoughts, answer = whole(content)["output"]

    assert thoughts["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert answer["content"] == [{**PART, "text": "Yes."}]


def test_signed_thoughts_can_be_given_back() -> None:
    """A signature that comes by itself signs what was thought since the last one."""
    signature = {"type": "thinking", "thinking": "", "signature": "s"}
    redacted = {"type": "redacted_thinking", "data": "d"}
    chunks = [fake.chunk(reasoning_content="h"), fake.chunk(reasoning_content="m")]
    blocks = [{"type": "thinking", "thinking": "hm", "signature": "s"}, redacted]

    events = streamed(*chunks, fake.chunk(thinking_blocks=[signature]), fake.chunk(thinking_blocks=[redacted]))
    at_once = whole(None, reasoning_content="hm", thinking_blocks=blocks)["output"]

    (item,) = events[-1]["response"]["output"]
    assert carried.blocks_in(item["encrypted_content"]) == blocks
    assert [item] == at_once


def test_a_refusal_is_a_part_of_its_own() -> None:
    """After what was said before it."""
    events = streamed(fake.chunk("Well. "), fake.chunk(refusal="No."), fake.chunk(finish="stop"))

    (message,) = assembled(events).output
    assert message.type == "message"
    assert [part.type for part in message.content] == ["output_text", "refusal"]


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [
        ("length", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("eos", "completed", None),
        ("error", "failed", None),
    ],
)
def test_an_end_has_its_status(finish: str, status: str, reason: str | None) -> None:
    """Whole and streamed; what was cut is told as cut."""
    events = streamed(fake.chunk("Hel"), fake.chunk(finish=finish))

    told = events[-1]["response"]
    assert events[-1]["type"] == f"response.{status}"
    assert told["status"] == whole("Hel", finish)["status"] == status
    assert (told["incomplete_details"] or {}).get("reason") == reason
    assert (told["error"] is not None) == (status == "failed")
    assert told["output"][0]["status"] == ("completed" if status == "completed" else "incomplete")


@pytest.mark.parametrize("usage", [None, fake.usage()])
def test_a_failure_tells_what_there_is_and_what_it_cost(usage: dict[str, Any] | None) -> None:
    """In a code that strict clients know; ours stands beside it."""
    teller = teller_of()
    told = teller.begin() + teller.tell(chunk_event(fake.chunk("Hel"))) + teller.fail("It broke.", "upstream", usage)

    *_, last = read(told)

    assert last["type"] == "response.failed"
    assert last["response"]["error"] == {"code": "server_error", "message": "It broke.", "type": "upstream"}
    assert last["response"]["output"][0]["content"] == [{**PART, "text": "Hel"}]
    assert (last["response"]["usage"] or {}).get("input_tokens") == (usage and 10)


def test_usage_has_this_apis_names() -> None:
    """Details that are no counts are none."""
    counts = {
        **fake.usage(),
        "prompt_tokens_details": {"cached_tokens": 4, "cache_creation_tokens": 2, "cache_creation_long_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 7},
        "cost": 0.1,
    }

    assert usage_of(counts) == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 7},
        "total_tokens": 30,
        "cost": 0.1,
    }
    odd = usage_of(
        {"prompt_tokens": True, "prompt_tokens_details": {"cached_tokens": -1}, "completion_tokens_details": 7}
    )
    assert (odd["input_tokens"], odd["input_tokens_details"]["cached_tokens"]) == (0, 0)


DELTAS = st.fixed_dictionaries(
    {},
    optional={
        "content": st.text(max_size=4) | json_values,
        "reasoning_content": json_values,
        "refusal": json_values,
        "thinking_blocks": json_values | st.lists(st.just({"type": "thinking", "signature": "s"}), max_size=2),
        "tool_calls": json_values
        | st.lists(
            st.fixed_dictionaries(
                {"index": st.integers(0, 2)}, optional={"function": json_values, "extra_content": json_values}
            ),
            max_size=3,
        ),
    },
)


@FEW
@given(
    deltas=st.lists(DELTAS | json_values, max_size=6),
    finish=st.sampled_from(["stop", "length", "error", None, 7, ["x"]]),
)
def test_whatever_a_provider_says_is_told_in_order(deltas: list[Any], finish: Any) -> None:
    """The client's own state machine can follow, and nothing raises."""
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]

    events = streamed(*chunks, {"choices": [{"delta": None, "finish_reason": finish}]}, {"choices": 7})

    assembled(events)
    added = [event["output_index"] for event in events if event["type"] == "response.output_item.added"]
    done = [event["output_index"] for event in events if event["type"] == "response.output_item.done"]
    assert added == sorted(done) == list(range(len(added)))
    assert [item["id"] for item in events[-1]["response"]["output"]] == [
        event["item"]["id"] for event in events if event["type"] == "response.output_item.added"
    ]
