"""What was delivered, and what that is charged as."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.base.units import PROMPT_KINDS, Unit
from shared.chat.models import Tally
from shared.chat.tally import count_chunk, prompt_counts, usage_of
from shared.metering.models import Usage, UsageSource
from tests.chat.builders import (
    FEW,
    TEXT_MODEL,
    VISION_MODEL,
    image,
    json_values,
    quoted,
    request_of,
    says,
    text,
)


def used(prompt_tokens: int, completion_tokens: int, source: UsageSource) -> Usage:
    return Usage({Unit.PROMPT_TOKEN: prompt_tokens, Unit.COMPLETION_TOKEN: completion_tokens}, source)


def tallied(*chunks: dict[str, Any]) -> Tally:
    tally = Tally()
    for chunk in chunks:
        count_chunk(tally, chunk)
    return tally


def delta(content: object = None, *, finish: object = None, index: int = 0, **fields: object) -> dict[str, Any]:
    said = {} if content is None else {"content": content}
    return {"choices": [{"index": index, "delta": {**said, **fields}, "finish_reason": finish}]}


@FEW
@given(st.dictionaries(st.sampled_from(["choices", "usage", "error", "id"]), json_values, max_size=4))
def test_no_chunk_of_any_shape_makes_counting_fail(chunk: dict[str, Any]) -> None:
    """It is passed on, so it must be survived; and what comes of it can be priced."""
    usage = usage_of(tallied(chunk), request_of(), TEXT_MODEL)

    assert usage is None or (usage.prompt_tokens >= 0 and usage.count(Unit.COMPLETION_TOKEN) >= 0)


@FEW
@given(st.lists(st.dictionaries(st.sampled_from(["index", "delta", "message", "finish_reason"]), json_values)))
def test_no_choice_of_any_shape_makes_counting_fail(choices: list[dict[str, Any]]) -> None:
    """The same one level down."""
    usage_of(tallied({"choices": choices}), request_of(), TEXT_MODEL)


REPORTS = [
    ({"prompt_tokens": 10, "completion_tokens": 20}, used(10, 20, UsageSource.REPORTED)),
    ({"prompt_tokens": 0, "completion_tokens": 1}, used(0, 1, UsageSource.REPORTED)),
    ({"prompt_tokens": 0, "completion_tokens": 0}, None),
    ({"prompt_tokens": 10**12, "completion_tokens": 10**12}, used(10**12, 10**12, UsageSource.REPORTED)),
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
    """Anything that is not two counts is no report, and no tokens for some text is none either: then we count."""
    usage = usage_of(tallied(delta("x" * 40, finish="stop"), {"usage": reported}), request_of(), TEXT_MODEL)

    assert usage is not None
    if expected is None:
        assert usage.source is UsageSource.ESTIMATED
        assert usage.count(Unit.COMPLETION_TOKEN) == 10
    else:
        assert usage == expected


def test_an_unusable_report_does_not_replace_a_usable_one() -> None:
    """Some providers send an empty usage with their last event."""
    chunks = [delta("x"), {"usage": {"prompt_tokens": 10, "completion_tokens": 20}}, {"usage": {}}]

    assert usage_of(tallied(*chunks), request_of(), TEXT_MODEL) == used(10, 20, UsageSource.REPORTED)


def test_what_comes_after_the_last_report_is_counted_by_us() -> None:
    """A provider that counts only the prompt, at the start, would otherwise give the whole answer away."""
    chunks = [{"usage": {"prompt_tokens": 10, "completion_tokens": 1}}, delta("x" * 400)]

    assert usage_of(tallied(*chunks), request_of(), TEXT_MODEL) == used(10, 101, UsageSource.ESTIMATED)


@pytest.mark.parametrize(
    "chunk",
    [
        {"choices": []},
        delta("", role="assistant"),
        delta("", finish="error", tool_calls=[], refusal=None, reasoning=""),
        delta("", finish="content_filter"),
        delta(None, partial=False, audio=None, provider_specific_fields={"stop": None}),
        {"choices": [{"message": {"role": "assistant", "content": None}, "finish_reason": None}]},
    ],
)
def test_no_output_is_free(chunk: dict[str, Any]) -> None:
    """Whatever the provider reports for it."""
    tally = tallied(chunk, {"usage": {"prompt_tokens": 1_000, "completion_tokens": 1_000}})

    assert usage_of(tally, request_of(), TEXT_MODEL) is None


@pytest.mark.parametrize(
    "chunk",
    [
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "stop_reason": "spam"}]},
        {"choices": [{"index": 0, "message": {"content": ""}, "finish_reason": "stop"}]},
        delta("", finish="length"),
        delta(None, finish="stop"),
    ],
)
def test_an_answer_that_says_where_it_stopped_is_no_gift(chunk: dict[str, Any]) -> None:
    """vLLM names the stop that it met: with the answers that are possible as stops, questions would be free. And a
    model that thought up to its cap has worked. Only without the provider's count is there nothing to charge by."""
    counted = tallied(chunk, {"usage": {"prompt_tokens": 1_000, "completion_tokens": 1}})

    assert usage_of(counted, request_of(), TEXT_MODEL) == used(1_000, 1, UsageSource.REPORTED)
    assert usage_of(tallied(chunk), request_of(), TEXT_MODEL) is None


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
    assert usage_of(tallied(chunk), request_of(), TEXT_MODEL) is not None


def test_an_estimate_counts_the_images_that_were_sent() -> None:
    """Else a client that leaves early would have its pictures read for nothing."""
    plain, seen = request_of(says([text("what?")])), request_of(says([text("what?"), image()]))
    tally = tallied(delta("a cat"))

    without, with_image = (usage_of(tally, request, VISION_MODEL) for request in (plain, seen))

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
    usage = usage_of(tallied(delta("y")), request, TEXT_MODEL)

    assert usage is not None
    assert usage.prompt_tokens <= quoted(request).prompt_tokens_max


def test_a_cached_part_of_the_prompt_is_counted_apart() -> None:
    """OpenAI's form: the cached tokens are inside the prompt's."""
    usage = {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 64}}
    counted = usage_of(tallied(delta("hi", finish="stop"), {"usage": usage}), request_of(), TEXT_MODEL)

    assert counted is not None
    assert counted.counts == {Unit.PROMPT_TOKEN: 36, Unit.CACHED_TOKEN: 64, Unit.COMPLETION_TOKEN: 5}
    assert counted.prompt_tokens == 100


@pytest.mark.parametrize(
    "details",
    [
        {"cached_tokens": 20, "cache_write_tokens": 70},
        {"cached_tokens": 20, "cache_creation_tokens": 70},
        {"cached_tokens": 20, "cache_write_tokens": 70, "cache_creation_tokens": 70},
        {"cached_tokens": 20, "cache_write_tokens": 70, "cache_creation_tokens": None},
    ],
    ids=str,
)
def test_what_was_written_to_a_cache_is_counted_apart_whatever_it_is_called(details: dict[str, object]) -> None:
    """Once. OpenAI bills it at a rate of its own, under the second name."""
    assert prompt_counts(100, {"prompt_tokens_details": details}) == {
        Unit.PROMPT_TOKEN: 10,
        Unit.CACHED_TOKEN: 20,
        Unit.CACHE_WRITE_TOKEN: 70,
    }


@given(st.integers(0, 10**12), json_values | st.dictionaries(st.text(), st.integers()))
@example(10, {"cached_tokens": 8, "cache_creation_tokens": 8})
@example(10, {"cached_tokens": -5, "cache_creation_long_tokens": 2**63})
@example(10, {"cached_tokens": True})
def test_the_parts_of_a_prompt_always_come_to_the_whole(prompt_tokens: int, details: object) -> None:
    """Whatever is reported: read and written together can exceed the prompt at some providers."""
    counts = prompt_counts(prompt_tokens, {"prompt_tokens_details": details})

    assert sum(counts.values()) == prompt_tokens
    assert all(count >= 0 for count in counts.values())
    assert counts.keys() <= {Unit.PROMPT_TOKEN, *PROMPT_KINDS}


@given(st.text(), st.sampled_from([None, "stop"]))
def test_a_plain_chunk_is_counted_as_any_other_is(content: str, finish: str | None) -> None:
    """The short way that most chunks take comes to what the long way does."""
    plain = delta(content, finish=finish)
    odd = delta(content, finish=finish, role="assistant")

    assert tallied(plain) == tallied(odd)
