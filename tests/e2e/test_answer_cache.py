"""Answers told again, as users of the official client meet them."""

from typing import Any

import openai
import pytest

from local.deployment import Deployment
from local.people import Person
from local.stack import Stack
from tests.clients import add_member, answer, balance_micros, call
from tests.e2e.books import Books

LLAMA = "meta-llama/Meta-Llama-3.1-8B-Instruct"
USE = {"credence_cache": "use"}


async def ask(client: openai.AsyncOpenAI, content: str, **rest: Any) -> Any:
    return await client.chat.completions.with_raw_response.create(
        model=LLAMA,
        messages=[{"role": "user", "content": content}],
        max_tokens=50,
        **{"extra_body": USE, **rest},
    )


async def test_asking_again_costs_a_tenth(
    client: openai.AsyncOpenAI, deployment: Deployment, member: Person, books: Books
) -> None:
    """The same words under another id, with a receipt that says what it is and proves itself like any other."""
    first = await ask(client, "What is a credit?")
    between = balance_micros(deployment, member)

    second = await ask(client, "What is a credit?")

    assert (first.headers["x-credence-cache"], second.headers["x-credence-cache"]) == ("miss", "hit")
    made, told = first.parse(), second.parse()
    assert told.choices[0].message.content == made.choices[0].message.content
    assert told.id != made.id
    charged = between - balance_micros(deployment, member)
    assert charged == int(second.headers["x-credence-cost-micros"]) == told.usage.cost_details["charged_micros"]
    assert abs(charged - int(first.headers["x-credence-cost-micros"]) / 10) < 1
    receipt = answer(call(deployment, "GET", f"/v1/receipts/{second.headers['x-credence-receipt']}", member.token))
    assert receipt["facts"]["cache"] == "hit"
    assert receipt["entry"]["delta_micros"] == -charged


async def test_an_answer_is_streamed_again_as_the_client_knows_it(client: openai.AsyncOpenAI) -> None:
    """Its own helper puts it together, with usage and cost."""
    whole = (await ask(client, "Stream it again")).parse()

    async with client.chat.completions.stream(
        model=LLAMA,
        messages=[{"role": "user", "content": "Stream it again"}],
        max_tokens=50,
        extra_body=USE,
        stream_options={"include_usage": True},
    ) as stream:
        async for _ in stream:
            pass
        told: Any = await stream.get_final_completion()

    assert told.choices[0].message.content == whole.choices[0].message.content
    assert told.choices[0].finish_reason == "stop"
    assert told.usage.completion_tokens == whole.usage.completion_tokens
    assert 0 < told.usage.cost_details["charged_micros"] <= whole.usage.cost_details["charged_micros"] // 10 + 1


async def test_what_was_streamed_is_told_whole(client: openai.AsyncOpenAI) -> None:
    async with await client.chat.completions.create(
        model=LLAMA,
        messages=[{"role": "user", "content": "Streamed first"}],
        max_tokens=50,
        stream=True,
        extra_body=USE,
    ) as stream:
        said = "".join([choice.delta.content or "" async for chunk in stream for choice in chunk.choices])

    again = await ask(client, "Streamed first")

    assert again.headers["x-credence-cache"] == "hit"
    assert again.parse().choices[0].message.content == said


async def test_another_person_is_told_nothing_of_it(
    client: openai.AsyncOpenAI, stack: Stack, deployment: Deployment
) -> None:
    await ask(client, "Between us")
    other = add_member(stack, deployment)

    async with openai.AsyncOpenAI(base_url=f"{deployment.url}/v1", api_key=other.token) as theirs:
        assert (await ask(theirs, "Between us")).headers["x-credence-cache"] == "miss"


async def test_whoever_does_not_ask_for_it_gets_a_new_answer(client: openai.AsyncOpenAI) -> None:
    await ask(client, "Something new")

    assert (await ask(client, "Something new", extra_body={})).headers["x-credence-cache"] == "off"


async def test_a_wish_that_is_none_is_refused(client: openai.AsyncOpenAI) -> None:
    """A typing mistake must not look like an answer told again."""
    with pytest.raises(openai.BadRequestError):
        await ask(client, "hi", extra_body={"credence_cache": "sure"})


async def test_calls_of_tools_are_not_told_again(client: openai.AsyncOpenAI) -> None:
    """Whoever acts on one would act twice."""
    tool: Any = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
    for _ in range(2):
        raw = await ask(client, "[[tool]] What is the weather?", tools=[tool])
        assert raw.parse().choices[0].message.tool_calls
        assert raw.headers["x-credence-cache"] == "miss"
