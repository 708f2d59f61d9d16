"""One contract for all wires, against a scripted provider: the same asked, the same answered, the same refused."""

import json
from typing import Any

import pytest

from shared.base.errors import CredenceError
from shared.providers.errors import UpstreamBusy, UpstreamRefused, UpstreamUnavailable
from shared.providers.gateway import Upstreams
from shared.providers.models import StreamEvent
from tests.providers import fake as says
from tests.providers.fake import FakeProvider, Reply
from tests.providers.native import CALL, COMPLETION_TOKENS, DIALECTS, PROMPT_TOKENS, WORDS, Dialect

PAYLOAD = {"model": "upstream/model", "messages": [{"role": "user", "content": "hi ☃"}], "max_tokens": 50}
each_wire = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.wire.value)


async def streamed(
    upstreams: Upstreams, fake: FakeProvider, dialect: Dialect, reply: Reply, into: list[StreamEvent] | None = None
) -> list[StreamEvent]:
    """All events of one stream; also `into` a list, for streams that fail."""
    fake.replies.append(reply)
    events = [] if into is None else into
    async with await upstreams.chat_stream(dialect.provider(fake), {**PAYLOAD, "stream": True}) as stream:
        async for event in stream.events():
            events.append(event)
    return events


def said_in(events: list[StreamEvent]) -> list[dict[str, Any]]:
    """The deltas of all chunks; each event is one on its own and says what it is parsed as."""
    for event in events:
        assert event.raw == says.DONE if event.data is None else json.loads(event.raw[6:]) == event.data
    choices = [choice for event in events if event.data for choice in event.data["choices"]]
    return [choice["delta"] for choice in choices]


def finishes(events: list[StreamEvent]) -> list[str]:
    choices = [choice for event in events if event.data for choice in event.data["choices"]]
    return [choice["finish_reason"] for choice in choices if choice["finish_reason"]]


def last_usage(events: list[StreamEvent]) -> dict[str, Any]:
    return [event.data["usage"] for event in events if event.data and event.data.get("usage")][-1]


@each_wire
async def test_text_is_answered_as_a_completion(upstreams: Upstreams, fake: FakeProvider, dialect: Dialect) -> None:
    """Of one shape whoever answered, with its usage."""
    fake.replies.append(says.whole(dialect.text))

    answer = await upstreams.chat(dialect.provider(fake), PAYLOAD)

    (choice,) = answer["choices"]
    assert (choice["index"], choice["finish_reason"]) == (0, "stop")
    assert (choice["message"]["role"], choice["message"]["content"]) == ("assistant", "".join(WORDS))
    assert (answer["object"], answer["model"]) == ("chat.completion", "upstream/model")
    assert answer["usage"]["prompt_tokens"] == PROMPT_TOKENS
    assert answer["usage"]["completion_tokens"] == COMPLETION_TOKENS
    assert answer["id"]
    assert isinstance(answer["created"], int)


@each_wire
async def test_the_key_is_in_its_header_and_nowhere_else(
    upstreams: Upstreams, fake: FakeProvider, dialect: Dialect
) -> None:
    """URLs are written into logs, and bodies are quoted in errors."""
    fake.replies += [says.whole(dialect.text), says.stream(*dialect.text_stream)]
    provider = dialect.provider(fake)

    await upstreams.chat(provider, PAYLOAD)
    (await upstreams.chat_stream(provider, {**PAYLOAD, "stream": True})).close()

    assert [asked.path for asked in fake.asked] == [dialect.path, dialect.stream_path]
    for asked in fake.asked:
        bearing = {name for name, value in asked.headers.items() if says.KEY in value}
        assert bearing == {dialect.key_header}
        assert says.KEY not in asked.path + json.dumps(asked.payload)


@each_wire
async def test_a_call_of_a_tool_is_answered_as_one(upstreams: Upstreams, fake: FakeProvider, dialect: Dialect) -> None:
    """With an id, a name, and arguments that are JSON."""
    fake.replies.append(says.whole(dialect.call))

    answer = await upstreams.chat(dialect.provider(fake), PAYLOAD)

    (choice,) = answer["choices"]
    (call,) = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls"
    assert (call["type"], call["function"]["name"]) == ("function", "look")
    assert json.loads(call["function"]["arguments"]) == CALL
    assert call["id"]
    assert "index" not in call


@each_wire
async def test_a_stream_says_the_words_then_the_usage_then_done(
    upstreams: Upstreams, fake: FakeProvider, dialect: Dialect
) -> None:
    """In chunks, however it was said."""
    events = await streamed(upstreams, fake, dialect, says.stream(*dialect.text_stream))

    assert "".join(delta.get("content") or "" for delta in said_in(events)) == "".join(WORDS)
    assert said_in(events)[0]["role"] == "assistant"
    assert finishes(events) == ["stop"]
    assert events[-1].data is None
    assert events[-2].data is not None
    assert events[-2].data["choices"] == []
    usage = last_usage(events)
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (PROMPT_TOKENS, COMPLETION_TOKENS)
    assert {event.data["object"] for event in events if event.data} == {"chat.completion.chunk"}
    assert len({event.data["id"] for event in events if event.data}) == 1


@each_wire
async def test_a_streamed_call_of_a_tool_adds_up(upstreams: Upstreams, fake: FakeProvider, dialect: Dialect) -> None:
    """Fragments of one index make one call."""
    events = await streamed(upstreams, fake, dialect, says.stream(*dialect.call_stream))

    pieces = [call for delta in said_in(events) for call in delta.get("tool_calls", [])]
    assert {call["index"] for call in pieces} == {0}
    assert [call["id"] for call in pieces if call.get("id")] != []
    assert pieces[0]["function"]["name"] == "look"
    assert json.loads("".join(call["function"].get("arguments", "") for call in pieces)) == CALL
    assert finishes(events) == ["tool_calls"]


@each_wire
async def test_a_stream_reads_the_same_wherever_it_is_split(
    upstreams: Upstreams, fake: FakeProvider, dialect: Dialect
) -> None:
    """Into single bytes too."""
    whole = b"".join(dialect.text_stream)
    singly = [bytes([byte]) for byte in whole]

    assert [event.data for event in await streamed(upstreams, fake, dialect, says.stream(*singly))] == [
        event.data for event in await streamed(upstreams, fake, dialect, says.stream(whole))
    ]


@each_wire
async def test_a_stream_that_is_cut_is_a_failure_after_what_was_said(
    upstreams: Upstreams, fake: FakeProvider, dialect: Dialect
) -> None:
    """Nothing is made up: no end, no `[DONE]`; and what had been said was passed on."""
    for reply in (says.cut(*dialect.text_stream[:-2]), says.hang(*dialect.text_stream[:-2])):
        events: list[StreamEvent] = []
        impatient = Upstreams([], silence_timeout_s=0.5)
        with pytest.raises(UpstreamUnavailable, match="broke off"):
            await streamed(impatient, fake, dialect, reply, events)
        await impatient.close()

        assert "".join(delta.get("content") or "" for delta in said_in(events)).startswith("".join(WORDS)[:5])
        assert None not in [event.data for event in events]


@each_wire
async def test_a_body_that_ends_too_early_has_no_end(
    upstreams: Upstreams, fake: FakeProvider, dialect: Dialect
) -> None:
    """A proxy may end a response in order though its source has broken."""
    cut_at = {"openai": -3, "anthropic": -2, "google": -1}[dialect.wire.value]

    events = await streamed(upstreams, fake, dialect, says.stream(*dialect.text_stream[:cut_at]))

    assert finishes(events) == []
    assert None not in [event.data for event in events]


@each_wire
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, UpstreamRefused),
        (401, UpstreamUnavailable),
        (403, UpstreamUnavailable),
        (404, UpstreamUnavailable),
        (413, UpstreamRefused),
        (429, UpstreamBusy),
        (500, UpstreamUnavailable),
        (503, UpstreamUnavailable),
        (529, UpstreamUnavailable),
    ],
)
async def test_a_refusal_is_one_of_three(
    upstreams: Upstreams, fake: FakeProvider, dialect: Dialect, status: int, kind: type[CredenceError]
) -> None:
    """Streamed or not, and the provider is asked once. Its words are told if they are about the request."""
    for ask in (upstreams.chat, upstreams.chat_stream):
        fake.asked.clear()
        fake.replies.append(dialect.refuse(status, {"retry-after": "7"}))
        with pytest.raises(kind) as refusal:
            await ask(dialect.provider(fake), PAYLOAD)
        assert ("this will not do" in refusal.value.message) == (kind is UpstreamRefused)
        assert len(fake.asked) == 1
        if status in (429, 503, 529):
            assert refusal.value.details() == {"retry_after_ms": 7_000}


@each_wire
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"content": 7, "candidates": 7, "choices": 7}', b"null"])
async def test_an_answer_that_is_none_is_a_failure(
    upstreams: Upstreams, fake: FakeProvider, dialect: Dialect, body: bytes
) -> None:
    """Found before anything is charged."""
    fake.replies.append(says.whole(body))

    with pytest.raises(UpstreamUnavailable):
        await upstreams.chat(dialect.provider(fake), PAYLOAD)


@each_wire
@pytest.mark.parametrize(
    "text",
    [b"{", b"[]", b"7", b"\xff", b"[" * 100_000],
    ids=lambda text: repr(text[:20]),
)
async def test_an_event_that_is_none_is_a_failure(
    upstreams: Upstreams, fake: FakeProvider, dialect: Dialect, text: bytes
) -> None:
    """It could not be counted, so nothing more is passed on."""
    with pytest.raises(UpstreamUnavailable, match="garbled"):
        await streamed(upstreams, fake, dialect, says.stream(b"data: " + text + b"\n\n"))


@each_wire
async def test_a_failure_in_the_middle_is_told(upstreams: Upstreams, fake: FakeProvider, dialect: Dialect) -> None:
    """As an event with status 200. On OpenAI's wire it is passed on for the caller to see."""
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    reply = says.stream(*dialect.text_stream[:2], says.event(error))
    if dialect.wire.value == "openai":
        assert (await streamed(upstreams, fake, dialect, reply))[-1].data == error
        return

    with pytest.raises(UpstreamUnavailable):
        await streamed(upstreams, fake, dialect, reply)
