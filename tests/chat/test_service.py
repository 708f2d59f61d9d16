"""Whole answers and streams that run to their end: what the client gets, what it is charged, and in which order."""

import json
from typing import Any

import pytest

from shared.base.errors import CredenceError, Kind
from shared.catalog.errors import ModelUnknown
from shared.chat.errors import ChatInvalid
from shared.metering.errors import CallUnaffordable
from shared.providers.errors import UpstreamBusy, UpstreamRefused, UpstreamUnavailable
from tests.chat.builders import TEXT_MODEL, VISION_MODEL, function_tool, image, request_of, says, text
from tests.chat.conftest import ADA, FUNDS_MICROS, Shop
from tests.providers import fake
from tests.providers.fake import KEY

STREAMED = {"stream": True}
WITH_USAGE = {"stream": True, "stream_options": {"include_usage": True}}


def parsed(events: list[bytes]) -> list[Any]:
    """What a client reads; every event must be one on its own."""
    assert all(event.startswith(b"data: ") and event.endswith(b"\n\n") for event in events)
    return [None if event == fake.DONE else json.loads(event[6:]) for event in events]


def words_of(chunks: list[Any]) -> str:
    return "".join(
        choice["delta"].get("content") or "" for chunk in chunks if chunk for choice in chunk.get("choices", [])
    )


async def events_of(shop: Shop, **fields: object) -> list[Any]:
    """All events of one streamed call."""
    stream = await shop.stream(request_of(**{**STREAMED, **fields}))
    try:
        return parsed([event async for event in stream.events()])
    finally:
        await stream.close()


# Whole answers.


async def test_an_answer_is_charged_by_its_reported_usage(shop: Shop) -> None:
    """Body as the provider gave it, with the cost beside its usage; headers tell charge, route, receipt, balance."""
    shop.first.replies.append(fake.whole(fake.completion("Hello.", usage=fake.usage(10, 20))))

    answer = await shop.chats().answer(ADA, shop.next_id(), request_of(max_tokens=50))

    (entry,) = shop.captures()
    details = {"charged_micros": 30, "receipt_id": entry.entry_id}
    assert answer.body == {
        **fake.completion("Hello."),
        "usage": {**fake.usage(10, 20), "cost": 0.00003, "cost_details": details},
    }
    assert answer.headers == {
        "x-credence-model": TEXT_MODEL.id,
        "x-credence-provider": "first",
        "x-credence-cost-micros": "30",
        "x-credence-receipt": entry.entry_id,
        "x-credence-balance-micros": str(FUNDS_MICROS - 30),
    }
    facts = dict(entry.facts)
    assert (facts["model"], facts["provider"], facts["upstream_model"]) == (TEXT_MODEL.id, "first", "first/model")
    assert (facts["prompt_tokens"], facts["completion_tokens"], facts["usage_source"]) == ("10", "20", "reported")
    assert (facts["outcome"], facts["request_id"]) == ("finished", "req_1")


async def test_a_report_beyond_the_quote_is_charged_as_the_quote(shop: Shop) -> None:
    """The client agreed to no more."""
    shop.first.replies.append(fake.whole(fake.completion(usage=fake.usage(10**7, 10**7))))

    await shop.chats().answer(ADA, shop.next_id(), request_of())

    (entry,) = shop.captures()
    assert -entry.delta_micros == int(dict(entry.facts)["held_micros"])


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": -5, "completion_tokens": -5}, "lots"])
async def test_an_answer_without_a_usable_usage_is_estimated_and_says_so(shop: Shop, usage: object) -> None:
    """The client is told the counts it was charged for."""
    shop.first.replies.append(fake.whole(fake.completion("x" * 400, usage=usage)))

    answer = await shop.chats().answer(ADA, shop.next_id(), request_of())

    (entry,) = shop.captures()
    told = answer.body["usage"]
    assert dict(entry.facts)["usage_source"] == "estimated"
    assert told["completion_tokens"] == 100
    assert told["total_tokens"] == told["prompt_tokens"] + 100 == told["cost_details"]["charged_micros"]


@pytest.mark.parametrize(
    "body",
    [
        fake.completion("", usage=fake.usage(10, 5)),
        fake.completion(None, usage=fake.usage(10, 5)),
        {"choices": [], "usage": fake.usage(10, 5)},
        fake.completion("Hello.", usage=fake.usage(0, 0)),
    ],
)
async def test_no_output_and_a_zero_report_are_free(shop: Shop, body: dict[str, Any]) -> None:
    """No entry is posted, and the answer says that it cost nothing."""
    shop.first.replies.append(fake.whole(body))

    answer = await shop.chats().answer(ADA, shop.next_id(), request_of())

    assert not shop.captures()
    assert answer.body["usage"]["cost"] == 0
    assert answer.headers["x-credence-cost-micros"] == "0"
    assert "x-credence-receipt" not in answer.headers


async def test_tools_images_and_choices_pass_both_ways(shop: Shop) -> None:
    """Nothing of the wire format is lost between client and provider."""
    calls = [{"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
    body = fake.completion(None, tool_calls=calls, usage=fake.usage())
    shop.first.replies.append(fake.whole(body))
    tools = [function_tool()]
    messages = [says([text("what is it?"), image(detail="low")])]
    request = request_of(*messages, model=VISION_MODEL.id, tools=tools, tool_choice="auto", n=2, seed=1)

    answer = await shop.chats().answer(ADA, shop.next_id(), request)

    (asked,) = shop.first.asked
    assert answer.body["choices"][0]["message"]["tool_calls"] == calls
    assert asked.payload == {
        "model": "first/model",
        "messages": messages,
        "tools": tools,
        "tool_choice": "auto",
        "n": 2,
        "seed": 1,
        "max_tokens": 4_096,
    }
    held = int(dict(shop.captures()[0].facts)["held_micros"])
    assert held >= VISION_MODEL.image_tokens_max + 2 * 4_096


# Streams.


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
    """A role and an end are no output, whatever is reported for them."""
    said = [fake.chunk("", role="assistant"), fake.chunk(finish="stop"), fake.usage_chunk(10, 5)]
    shop.first.replies.append(fake.stream(*map(fake.event, said), fake.DONE))

    *_, told, _ = await events_of(shop, **WITH_USAGE)

    assert told["usage"]["cost"] == 0
    assert told["usage"]["cost_details"]["receipt_id"] is None
    assert not shop.captures()


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


# Streams that fail on the way.

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


@pytest.mark.parametrize(
    "reply",
    [
        fake.stream(),
        fake.stream(fake.DONE),
        fake.stream(b"data: {oops\n\n"),
        fake.stream(fake.event({"error": {"message": "overloaded"}})),
        fake.stream(b'{"error": {"message": "overloaded"}}', content_type="application/json"),
        fake.stream(b"<html>", content_type="text/html"),
        fake.cut(),
        fake.stream(fake.event(fake.chunk("", role="assistant"))),
    ],
)
async def test_a_stream_that_fails_before_any_output_is_free(shop: Shop, reply: fake.Reply) -> None:
    """And says that it was."""
    shop.first.replies.append(reply)

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


# Calls that are not begun.


async def ask(shop: Shop, *, streamed: bool, **timeouts: float) -> None:
    request = request_of(stream=streamed)
    chats = shop.chats(**timeouts)
    await (chats.stream if streamed else chats.answer)(ADA, shop.next_id(), request)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_a_refused_request_is_not_sent_to_another_provider(shop: Shop, streamed: bool, status: int) -> None:
    """What is wrong with it stays wrong; nothing is charged."""
    shop.first.replies.append(fake.refuse(status, "max_tokens is wrong"))

    with pytest.raises(UpstreamRefused, match="max_tokens is wrong"):
        await ask(shop, streamed=streamed)

    assert not shop.second.asked


BROKEN = {
    "401": fake.refuse(401, f"Incorrect API key: {KEY}-first"),
    "402": fake.refuse(402),
    "403": fake.refuse(403),
    "408": fake.refuse(408),
    "429": fake.refuse(429, headers={"retry-after": "3"}),
    "500": fake.refuse(500),
    "503": fake.refuse(503),
    "redirect": fake.refuse(302, headers={"location": "http://127.0.0.1:1/"}),
    "hang-up": fake.drop,
    "silence": fake.mute,
}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("fault", BROKEN)
async def test_another_provider_answers_inside_the_same_hold(shop: Shop, streamed: bool, fault: str) -> None:
    """Each is asked once, under its own name for the model and with its own key; one charge comes of it."""
    shop.first.replies.append(BROKEN[fault])
    shop.second.replies.append(
        fake.stream(*fake.hello()) if streamed else fake.whole(fake.completion(usage=fake.usage()))
    )
    chats = shop.chats(silence_timeout_s=0.2)

    if streamed:
        stream = await chats.stream(ADA, shop.next_id(), request_of(**STREAMED))
        assert words_of(parsed([event async for event in stream.events()])) == "Hello, world."
        await stream.close()
        headers = stream.headers
    else:
        headers = dict((await chats.answer(ADA, shop.next_id(), request_of())).headers)

    (asked,) = shop.second.asked
    assert (asked.payload["model"], headers["x-credence-provider"]) == ("second/model", "second")
    assert asked.headers["Authorization"] == f"Bearer {KEY}-second"
    assert len(shop.first.asked) == 1
    assert [dict(entry.facts)["provider"] for entry in shop.captures()] == ["second"]
    assert (await shop.head()).window.count == 1


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("replies", "kind"),
    [
        (["500", "429"], UpstreamBusy),
        (["429", "500"], UpstreamUnavailable),
        (["401", "403"], UpstreamUnavailable),
    ],
)
async def test_when_nobody_answers_the_last_says_why(
    shop: Shop, streamed: bool, replies: list[str], kind: type[CredenceError]
) -> None:
    """Free, each asked once, and without a key in sight."""
    shop.first.replies.append(BROKEN[replies[0]])
    shop.second.replies.append(BROKEN[replies[1]])

    with pytest.raises(kind) as refusal:
        await ask(shop, streamed=streamed)

    assert (len(shop.first.asked), len(shop.second.asked)) == (1, 1)
    assert KEY not in repr(refusal.getrepr(chain=True)) + str(refusal.value.details())


@pytest.mark.parametrize("streamed", [False, True])
async def test_all_providers_share_the_time_of_one_call(shop: Shop, streamed: bool) -> None:
    """Else a slow first would leave the second writing after the function's own limit, and uncharged."""
    shop.first.replies.append(fake.mute)
    shop.second.replies.append(fake.whole(fake.completion()))

    with pytest.raises(UpstreamUnavailable):
        await ask(shop, streamed=streamed, call_timeout_s=0.2)

    assert not shop.second.asked


async def test_an_answer_that_breaks_off_is_asked_of_another(shop: Shop) -> None:
    """Nothing of it was delivered; a garbled one is the same."""
    shop.first.replies.append(fake.whole(b'{"choices": [{"message": {"content": "Hel'))
    shop.second.replies.append(fake.whole(fake.completion(usage=fake.usage())))

    answer = await shop.chats().answer(ADA, shop.next_id(), request_of())

    assert answer.headers["x-credence-provider"] == "second"
    assert await shop.spent_micros() == 30


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_call_that_cannot_be_paid_reaches_no_provider(shop: Shop, streamed: bool) -> None:
    """The refusal states how long an answer could be, and exactly that much is then sold."""
    await shop.ledger.debit(ADA, FUNDS_MICROS - 1_000, key="spend", facts={})

    with pytest.raises(CallUnaffordable) as refusal:
        await ask(shop, streamed=streamed)

    affordable = int(refusal.value.details()["affordable_max_tokens"])
    assert refusal.value.kind is Kind.UNPAID
    assert not shop.first.asked
    with pytest.raises(CallUnaffordable):
        await shop.chats().answer(ADA, shop.next_id(), request_of(max_tokens=affordable + 1, stream=streamed))
    shop.first.replies.append(fake.whole(fake.completion(usage=fake.usage(10**6, 10**6))))
    await shop.chats().answer(ADA, shop.next_id(), request_of(max_tokens=affordable, stream=False))
    assert (await shop.head()).balance_micros < 10


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_request_that_cannot_be_priced_holds_nothing(shop: Shop, streamed: bool) -> None:
    """Refused before the ledger or a provider hears of it."""
    chats = shop.chats()
    ask_for = chats.stream if streamed else chats.answer
    with pytest.raises(ChatInvalid):
        await ask_for(ADA, shop.next_id(), request_of(plugins=[{"id": "web"}]))
    with pytest.raises(ModelUnknown):
        await ask_for(ADA, shop.next_id(), request_of(model="openai/o1-pro"))

    assert not shop.first.asked
    assert (await shop.head()).window.count == 0
