"""The same contract for all wires against somebody else's idea of them: the model stand-in, which speaks all three."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from local.stack import Stack
from shared.base.secret import Secret
from shared.providers.errors import UpstreamBusy, UpstreamUnavailable
from shared.providers.gateway import Upstreams
from shared.providers.models import DisconnectPolicy, Provider, StreamEvent, Wire

LOOK = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
PNG = f"data:image/png;base64,{PIXEL}"


@pytest.fixture
async def upstreams() -> AsyncIterator[Upstreams]:
    built = Upstreams([])
    yield built
    await built.close()


@pytest.fixture(params=list(Wire))
def provider(request: pytest.FixtureRequest, stack: Stack) -> Provider:
    """The stand-in as a provider of each wire."""
    wire: Wire = request.param
    url = stack.standin_url.removesuffix("/v1") + ("/v1beta" if wire is Wire.GOOGLE else "/v1")
    return Provider("standin", url, Secret("key"), DisconnectPolicy.ESTIMATE, wire=wire)


def payload_of(prompt: str, **fields: object) -> dict[str, Any]:
    return {"model": "some-model", "messages": [{"role": "user", "content": prompt}], "max_tokens": 500, **fields}


async def events_of(
    upstreams: Upstreams, provider: Provider, prompt: str, into: list[StreamEvent] | None = None
) -> list[StreamEvent]:
    """All events of one stream; also `into` a list, for those that fail."""
    payload = payload_of(prompt, stream=True, stream_options={"include_usage": True})
    events = [] if into is None else into
    async with await upstreams.chat_stream(provider, payload) as stream:
        async for event in stream.events():
            events.append(event)
    return events


def words_in(events: list[StreamEvent]) -> str:
    choices = [choice for event in events if event.data for choice in event.data["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


async def test_text_is_answered(upstreams: Upstreams, provider: Provider) -> None:
    answer = await upstreams.chat(provider, payload_of("What is a lot?"))

    (choice,) = answer["choices"]
    assert "What is a lot?" in choice["message"]["content"]
    assert choice["finish_reason"] == "stop"


async def test_an_image_is_taken(upstreams: Upstreams, provider: Provider) -> None:
    """Beside text, as data."""
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PNG}}]
    payload = {**payload_of(""), "messages": [{"role": "user", "content": parts}]}

    answer = await upstreams.chat(provider, payload)

    assert "What is this?" in answer["choices"][0]["message"]["content"]


async def test_a_tool_is_called_and_its_result_is_taken(upstreams: Upstreams, provider: Provider) -> None:
    """The whole round, with the message that the first answer gave."""
    payload = payload_of("[[tool]] Paris?", tools=[LOOK])

    first = await upstreams.chat(provider, payload)
    (choice,) = first["choices"]
    (call,) = choice["message"]["tool_calls"]
    result = {"role": "tool", "tool_call_id": call["id"], "content": "Sunny."}
    second = await upstreams.chat(provider, {**payload, "messages": [*payload["messages"], choice["message"], result]})

    assert choice["finish_reason"] == "tool_calls"
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("get_weather", {"city": "Paris"})
    assert second["choices"][0]["finish_reason"] == "stop"


async def test_a_stream_says_what_the_whole_answer_says(upstreams: Upstreams, provider: Provider) -> None:
    """In several chunks, with an end and `[DONE]`."""
    whole = await upstreams.chat(provider, payload_of("What is a lot?"))
    events = await events_of(upstreams, provider, "What is a lot?")

    assert words_in(events) == whole["choices"][0]["message"]["content"]
    finishes = [choice["finish_reason"] for event in events if event.data for choice in event.data["choices"]]
    assert [finish for finish in finishes if finish] == ["stop"]
    assert len(events) > 4
    assert events[-1].data is None


async def test_the_usage_is_told(upstreams: Upstreams, provider: Provider) -> None:
    """Whole and streamed, as the stand-in states it."""
    answer = await upstreams.chat(provider, payload_of("[[usage-huge]]"))
    events = await events_of(upstreams, provider, "[[usage-huge]]")

    streamed = [event.data["usage"] for event in events if event.data and event.data.get("usage")][-1]
    for usage in (answer["usage"], streamed):
        assert (usage["prompt_tokens"], usage["completion_tokens"]) == (10_000_000, 10_000_000)


async def test_a_cap_cuts_the_answer(upstreams: Upstreams, provider: Provider) -> None:
    """And the end says so."""
    answer = await upstreams.chat(provider, {**payload_of("[[long]]"), "max_tokens": 5})

    assert answer["choices"][0]["finish_reason"] == "length"


async def test_a_cut_stream_is_a_failure(upstreams: Upstreams, provider: Provider) -> None:
    events: list[StreamEvent] = []

    with pytest.raises(UpstreamUnavailable, match="broke off"):
        await events_of(upstreams, provider, "[[cut]]", events)

    assert events
    assert events[-1].data is not None


async def test_a_busy_provider_says_when_to_come_back(upstreams: Upstreams, provider: Provider) -> None:
    """In a header."""
    for ask in (upstreams.chat, upstreams.chat_stream):
        with pytest.raises(UpstreamBusy) as refusal:
            await ask(provider, payload_of("[[error-429]]"))
        assert refusal.value.details() == {"retry_after_ms": 1_000}


@pytest.mark.parametrize("word", ["error-500", "error-401", "malformed"])
async def test_a_failure_is_a_failure(upstreams: Upstreams, provider: Provider, word: str) -> None:
    with pytest.raises(UpstreamUnavailable):
        await upstreams.chat(provider, payload_of(f"[[{word}]]"))
