"""Streams: what is relayed, what is charged, in which order, and how they fail."""

import json
from typing import Any

import pytest

from tests.chat.builders import function_tool, request_of
from tests.chat.conftest import Shop
from tests.chat.wire import STREAMED, WITH_USAGE, events_of, parsed, words_of
from tests.providers import fake
from tests.providers.fake import KEY


async def test_a_stream_is_relayed_as_it_came(shop: Shop) -> None:
    """Nothing added, nothing lost; the usage that was not asked for is kept back."""
    shop.first.replies.append(fake.stream(b": processing\n\n", *fake.hello()))

    chunks = await events_of(shop)

    assert chunks == [*(json.loads(event[6:]) for event in fake.hello()[:-2]), None]
    assert words_of(chunks) == "Hello, world."
    assert shop.first.asked[0].payload["stream_options"] == {"include_usage": True}


async def test_the_charge_stands_before_the_last_event_is_sent(shop: Shop) -> None:
    """Who has read the end of a stream can read its receipt."""
    shop.first.replies.append(fake.stream(*fake.hello()))
    stream = await shop.stream(request_of(**STREAMED))
    charged_at: dict[bytes, int] = {}

    async for event in stream.events():
        charged_at[event] = len(shop.captures())
    await stream.close()

    assert charged_at.pop(fake.DONE) == 1
    assert set(charged_at.values()) == {0}
    assert shop.captures()[0].entry_id == stream.headers["x-credence-receipt"]
    assert await shop.spent_micros() == 30


@pytest.mark.parametrize("options", [{"include_usage": True}, {"include_usage": True, "x": 1}])
async def test_usage_with_its_cost_is_told_to_those_who_ask(shop: Shop, options: dict[str, Any]) -> None:
    """One chunk with no choices, after the charge and before the end."""
    shop.first.replies.append(fake.stream(*fake.hello()))

    *_, told, done = await events_of(shop, stream_options=options)

    (entry,) = shop.captures()
    details = {"charged_micros": 30, "receipt_id": entry.entry_id}
    assert done is None
    assert told["choices"] == []
    assert told["id"] == "chatcmpl-1"
    assert told["usage"] == {**fake.usage(), "cost": 0.00003, "cost_details": details}


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_usage": None}])
async def test_usage_is_kept_from_those_who_do_not_ask(shop: Shop, options: dict[str, Any] | None) -> None:
    """Some clients fail on a chunk without choices."""
    shop.first.replies.append(fake.stream(*fake.hello()))

    chunks = await events_of(shop, stream_options=options)

    assert all(chunk is None or chunk["choices"] for chunk in chunks)


async def test_a_providers_own_usage_and_cost_are_never_relayed(shop: Shop) -> None:
    """Some send usage with the finish or in every chunk; their price to us is not the client's price."""
    theirs = {**fake.usage(), "cost": 0.5, "is_byok": False}
    said = [{**fake.chunk("Hello"), "usage": theirs}, {**fake.chunk(finish="stop"), "usage": theirs}]
    shop.first.replies.append(fake.stream(*map(fake.event, said), fake.DONE))

    first, last, told, _ = await events_of(shop, **WITH_USAGE)

    assert first == fake.chunk("Hello")
    assert last == fake.chunk(finish="stop")
    assert told["usage"]["cost"] == 0.00003


async def test_usage_that_never_came_is_told_as_it_was_charged(shop: Shop) -> None:
    """Tools that add up usage need their three numbers."""
    shop.first.replies.append(fake.stream(*map(fake.event, [fake.chunk("x" * 40, finish="stop")]), fake.DONE))

    _, told, _ = await events_of(shop, **WITH_USAGE)

    counts = told["usage"]
    assert counts["completion_tokens"] == 10
    assert counts["total_tokens"] == counts["prompt_tokens"] + 10 == await shop.spent_micros()


async def test_a_stream_may_end_without_done(shop: Shop) -> None:
    """A finish is an end; the client still gets its `[DONE]`."""
    shop.first.replies.append(fake.stream(*fake.hello()[:-1]))

    chunks = await events_of(shop)

    assert chunks[-1] is None
    assert words_of(chunks) == "Hello, world."
    assert await shop.spent_micros() == 30


async def test_an_error_of_null_is_no_error(shop: Shop) -> None:
    """Some providers write it into every chunk."""
    said = [{**fake.chunk("Hello"), "error": None}, {**fake.chunk(finish="stop"), "error": None}]
    shop.first.replies.append(fake.stream(*map(fake.event, said), fake.DONE))

    chunks = await events_of(shop)

    assert words_of(chunks) == "Hello"
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"


async def test_an_empty_stream_is_free(shop: Shop) -> None:
    """A role and an end by a fault are no output, whatever is reported for them."""
    said = [fake.chunk("", role="assistant"), fake.chunk(finish="error"), fake.usage_chunk(10, 5)]
    shop.first.replies.append(fake.stream(*map(fake.event, said), fake.DONE))

    *_, told, _ = await events_of(shop, **WITH_USAGE)

    assert told["usage"]["cost"] == 0
    assert told["usage"]["cost_details"]["receipt_id"] is None
    assert not shop.captures()


async def test_a_stream_that_says_only_where_it_stopped_is_charged(shop: Shop) -> None:
    """The stop that was met is an answer: vLLM tells it beside the reason."""
    stopped = fake.chunk(finish="stop")
    stopped["choices"][0]["stop_reason"] = "spam"
    shop.first.replies.append(fake.stream(*map(fake.event, [stopped, fake.usage_chunk(90, 1)]), fake.DONE))

    await events_of(shop, stop=["spam", "ham"], max_tokens=1)

    assert await shop.spent_micros() == 91


async def test_every_choice_of_a_stream_must_finish(shop: Shop) -> None:
    """A stream that ends after the first of two was cut, and is charged as such."""
    said = [fake.chunk("a" * 40), fake.chunk("b" * 40, index=1), fake.chunk(finish="stop")]
    shop.first.replies.append(fake.stream(*map(fake.event, said), fake.DONE))

    chunks = await events_of(shop, n=2)

    assert chunks[-2]["error"]["code"] == "upstream_unavailable"
    facts = dict(shop.captures()[0].facts)
    assert (facts["outcome"], facts["completion_tokens"]) == ("cut", "20")


async def test_tool_calls_stream_through_in_fragments(shop: Shop) -> None:
    """And count as output even when no usage comes."""
    fragments = [
        {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"city":'}},
        {"index": 0, "function": {"arguments": '"Paris"}'}},
    ]
    said = [*(fake.chunk(tool_calls=[fragment]) for fragment in fragments), fake.chunk(finish="tool_calls")]
    shop.first.replies.append(fake.stream(*map(fake.event, said), fake.DONE))

    chunks = await events_of(shop, tools=[function_tool()])

    assert [chunk["choices"][0]["delta"]["tool_calls"][0] for chunk in chunks[:3]] == fragments
    assert await shop.spent_micros() > 0


PARTIAL = [fake.event(fake.chunk("x" * 400))]
FAILURES = {
    "connection cut": fake.cut(*PARTIAL),
    "ended early": fake.stream(*PARTIAL),
    "ended early with done": fake.stream(*PARTIAL, fake.DONE),
    "error event": fake.stream(*PARTIAL, fake.event({"error": {"message": f"bad key {KEY}", "code": 500}}), fake.DONE),
    "error in a chunk": fake.stream(*PARTIAL, fake.event({**fake.chunk(finish="error"), "error": {"code": 502}})),
    "malformed": fake.stream(*PARTIAL, b"data: {oops\n\n", *fake.hello()),
    "cut within an event": fake.stream(*PARTIAL, fake.event(fake.chunk("y"))[:20]),
    "no object": fake.stream(*PARTIAL, b"data: []\n\n", fake.DONE),
    "silence": fake.hang(*PARTIAL),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_stream_that_fails_charges_what_was_delivered(shop: Shop, failure: str) -> None:
    """The client is told in OpenAI's form, nobody else is asked, and the key stays unseen."""
    shop.first.replies.append(FAILURES[failure])
    stream = await shop.stream(request_of(**WITH_USAGE), silence_timeout_s=0.2)

    chunks = parsed([event async for event in stream.events()])
    await stream.close()

    *_, fault, done = chunks
    assert done is None
    assert words_of(chunks) == "x" * 400
    assert fault["choices"][0]["finish_reason"] == "error"
    assert fault["error"]["code"] == "upstream_unavailable"
    assert fault["error"]["message"].endswith("Only what was delivered was charged.")
    assert KEY not in json.dumps(fault)
    (entry,) = shop.captures()
    facts = dict(entry.facts)
    assert (facts["outcome"], facts["usage_source"], facts["completion_tokens"]) == ("cut", "estimated", "100")
    assert not shop.second.asked


async def test_a_stream_that_begins_with_nothing_and_fails_is_free(shop: Shop) -> None:
    """And says that it was. Before it has begun, another provider is asked instead: test_routes.py."""
    shop.first.replies.append(fake.cut(*[fake.event(fake.chunk("", role="assistant"))] * 8))

    *_, fault, done = await events_of(shop)

    assert done is None
    assert fault["object"] == "chat.completion.chunk"
    assert fault["error"]["message"].endswith("Nothing was charged.")
    assert not shop.captures()


async def test_a_huge_event_passes(shop: Shop) -> None:
    """Three megabytes in one piece, such as an image in a tool's arguments."""
    said = [fake.chunk("x" * 3_000_000), fake.chunk(finish="stop"), fake.usage_chunk()]
    shop.first.replies.append(fake.stream(*map(fake.event, said), fake.DONE))

    assert len(words_of(await events_of(shop))) == 3_000_000
