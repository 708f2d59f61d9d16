"""The model stand-in, seen through the official OpenAI client: each magic word behaves as promised."""

import io
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import openai
import pytest
from openai.types import CompletionUsage

from local.stack import Stack


@dataclass(frozen=True, slots=True)
class Answer:
    """What came over the wire for one streamed call."""

    text: str
    chunks: int
    finish_reason: str | None
    usage: CompletionUsage | None
    seconds_to_first: float
    tool_names: list[str]


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[openai.AsyncOpenAI]:
    """A client that does not hide faults behind retries."""
    async with openai.AsyncOpenAI(base_url=stack.standin_url, api_key="none", max_retries=0) as made:
        yield made


async def ask(client: openai.AsyncOpenAI, prompt: str, *, tokens_max: int = 4096) -> Answer:
    """Stream one answer of any model, with its usage."""
    started_at = time.monotonic()
    stream = await client.chat.completions.create(
        model="any/model-at-all",
        messages=[{"role": "user", "content": prompt}],
        max_tokens=tokens_max,
        stream=True,
        stream_options={"include_usage": True},
    )
    text, chunks, finish_reason, usage, seconds_to_first = "", 0, None, None, 0.0
    tool_names: list[str] = []
    async for chunk in stream:
        seconds_to_first = seconds_to_first or time.monotonic() - started_at
        chunks += 1
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish_reason = choice.finish_reason or finish_reason
            tool_names += [call.function.name for call in choice.delta.tool_calls or [] if call.function.name]
    return Answer(text, chunks, finish_reason, usage, seconds_to_first, tool_names)


async def test_any_model_streams_an_answer_that_quotes_the_prompt(client: openai.AsyncOpenAI) -> None:
    """Several chunks, a usage, and no pretence of being a model."""
    answer = await ask(client, "What is a lot?")

    assert "local stand-in" in answer.text
    assert "“What is a lot?”" in answer.text
    assert answer.chunks > 3
    assert answer.finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


async def test_quote_survives_chunking(client: openai.AsyncOpenAI) -> None:
    """No chunk ends in half a character, whatever the prompt; a long one is quoted in part."""
    answer = await ask(client, "🙂é" * 500)

    assert answer.text.encode().decode() == answer.text
    assert "□é□é" in answer.text
    assert answer.text.endswith("…”.")


async def test_answer_keeps_within_max_tokens(client: openai.AsyncOpenAI) -> None:
    """A capped answer ends as a real model's does, and its usage stays below the cap."""
    answer = await ask(client, "What is a lot?", tokens_max=5)

    assert answer.finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 5


async def test_call_without_streaming_is_answered_at_once(client: openai.AsyncOpenAI) -> None:
    """The same answer in one piece, with its usage."""
    answer = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])

    assert "“hi”" in (answer.choices[0].message.content or "")
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0


@pytest.mark.parametrize(("word", "tokens"), [("usage-huge", 10_000_000), ("usage-zero", 0), ("usage-negative", -1000)])
async def test_usage_words_state_their_usage(client: openai.AsyncOpenAI, word: str, tokens: int) -> None:
    """The numbers a meter must survive."""
    answer = await ask(client, f"[[{word}]]")

    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (tokens, tokens)
    assert answer.usage.total_tokens == 2 * tokens


async def test_tool_word_calls_a_tool_and_then_answers(client: openai.AsyncOpenAI) -> None:
    """The call comes first; with the tool's result in the conversation, the ordinary answer."""
    first = await ask(client, "[[tool]]")
    second = await client.chat.completions.create(
        model="m",
        messages=[
            {"role": "user", "content": "[[tool]]"},
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
        ],
    )

    assert (first.finish_reason, first.tool_names) == ("tool_calls", ["get_weather"])
    assert "local stand-in" in (second.choices[0].message.content or "")


async def test_empty_word_answers_nothing(client: openai.AsyncOpenAI) -> None:
    """The stream ends properly, without a word."""
    answer = await ask(client, "[[empty]]")

    assert (answer.text, answer.finish_reason) == ("", "stop")


async def test_long_word_takes_its_time(client: openai.AsyncOpenAI) -> None:
    """About 200 chunks, milliseconds apart."""
    started_at = time.monotonic()

    answer = await ask(client, "[[long]]")

    assert 200 <= answer.chunks <= 205
    assert time.monotonic() - started_at > 0.8


async def test_cut_word_breaks_the_stream_midway(client: openai.AsyncOpenAI) -> None:
    """Some text arrives, then the connection is lost: no end, no usage."""
    stream = await client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "[[cut]]"}], stream=True
    )
    received = io.StringIO()

    async def read_on() -> None:
        async for chunk in stream:
            received.write(chunk.choices[0].delta.content or "")

    with pytest.raises((httpx.RemoteProtocolError, openai.APIError)):
        await read_on()

    assert received.getvalue()


async def test_slow_word_delays_the_first_token(client: openai.AsyncOpenAI) -> None:
    """Two seconds pass before anything comes."""
    answer = await ask(client, "[[slow]]")

    assert 1.9 < answer.seconds_to_first < 4


@pytest.mark.parametrize(
    ("word", "error"),
    [
        ("error-401", openai.AuthenticationError),
        ("error-429", openai.RateLimitError),
        ("error-500", openai.InternalServerError),
    ],
)
async def test_error_words_refuse(client: openai.AsyncOpenAI, word: str, error: type[openai.APIStatusError]) -> None:
    """The status and the error object of an upstream that says no."""
    with pytest.raises(error) as refusal:
        await ask(client, f"[[{word}]]")

    assert refusal.value.status_code == int(word.removeprefix("error-"))
    assert refusal.value.body
