"""A provider that misbehaves, by the stand-in's magic words: the client is told clearly and charged justly."""

from typing import Any

import openai
import pytest

from local.deployment import Deployment
from local.people import Person
from tests.clients import balance_micros
from tests.e2e.books import Books

LLAMA = "meta-llama/Meta-Llama-3.1-8B-Instruct"
SICK = {
    "error-401": "nvidia/Nemotron-Nano-V2-12b",
    "error-429": "Qwen/Qwen2.5-VL-72B-Instruct",
    "error-500": "google/gemma-2-2b-it",
}
"""A model for each fault, which is given a rest for it; the other tests would have to wait for theirs."""


def says(content: str) -> Any:
    return [{"role": "user", "content": content}]


@pytest.fixture
def impatient(client: openai.AsyncOpenAI) -> openai.AsyncOpenAI:
    """A client that does not hide faults behind retries."""
    return client.with_options(max_retries=0)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("word", "status", "code"),
    [
        ("error-401", 503, "upstream_unavailable"),
        ("error-429", 429, "upstream_rate_limited"),
        ("error-500", 503, "upstream_unavailable"),
    ],
)
async def test_a_providers_refusal_is_free_and_clear(
    impatient: openai.AsyncOpenAI,
    deployment: Deployment,
    member: Person,
    books: Books,
    word: str,
    status: int,
    code: str,
    streamed: bool,
) -> None:
    """Its troubles with us are not the client's, and no hold is left."""
    before = balance_micros(deployment, member)

    with pytest.raises(openai.APIStatusError) as refusal:
        await impatient.chat.completions.create(model=SICK[word], messages=says(f"[[{word}]]"), stream=streamed)

    assert (refusal.value.status_code, refusal.value.code) == (status, code)
    assert "Incorrect API key" not in refusal.value.message
    assert int(refusal.value.response.headers["retry-after-ms"]) > 0
    head = await books.head(member)
    assert (head.balance_micros, dict(head.holds)) == (before, {})


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("word", "source"),
    [("usage-negative", "estimated"), ("usage-huge", "reported"), ("usage-zero", "estimated"), ("empty", "reported")],
)
async def test_odd_usage_is_charged_within_the_hold(
    impatient: openai.AsyncOpenAI, member: Person, books: Books, word: str, source: str, streamed: bool
) -> None:
    """Never below zero, never above the hold; an answer without a word is one, and no tokens for some text no count."""
    answered = await impatient.chat.completions.create(
        model=LLAMA, messages=says(f"[[{word}]]"), stream=streamed, max_tokens=100
    )
    if streamed:
        _ = [chunk async for chunk in answered]  # type: ignore[union-attr]

    charges = await books.charges(member)
    assert [dict(entry.facts)["usage_source"] for entry in charges] == [source]
    for entry in charges:
        assert 0 < -entry.delta_micros <= int(dict(entry.facts)["held_micros"])
    assert not (await books.head(member)).holds
    books.verify(member)


async def test_a_stream_that_is_cut_charges_what_was_delivered(
    impatient: openai.AsyncOpenAI, member: Person, books: Books
) -> None:
    """OpenAI's client raises at the error event, after the words that came."""
    stream: Any = await impatient.chat.completions.create(model=LLAMA, messages=says("[[cut]]"), stream=True)
    words = []

    async def read() -> None:
        async for chunk in stream:
            words.extend(choice.delta.content or "" for choice in chunk.choices)

    with pytest.raises(openai.APIError) as failure:
        await read()

    (entry,) = await books.charges(member)
    facts = dict(entry.facts)
    assert failure.value.code == "upstream_unavailable"
    assert "Only what was delivered" in failure.value.message
    assert (facts["outcome"], facts["usage_source"]) == ("cut", "estimated")
    assert int(facts["completion_tokens"]) == -(-len("".join(words).encode()) // 4) > 0
    assert not (await books.head(member)).holds


async def test_retries_of_the_official_client_are_not_charged(
    client: openai.AsyncOpenAI, deployment: Deployment, member: Person
) -> None:
    """It asks three times when we say that it may; three failures cost nothing."""
    before = balance_micros(deployment, member)

    with pytest.raises(openai.InternalServerError):
        await client.chat.completions.create(model=SICK["error-500"], messages=says("[[error-500]]"))

    assert balance_micros(deployment, member) == before


async def test_a_preferred_route_is_told_in_headers_and_on_the_receipt(
    impatient: openai.AsyncOpenAI, member: Person, books: Books
) -> None:
    """Who answered, and how many requests that took."""
    raw = await impatient.chat.completions.with_raw_response.create(
        model=LLAMA, messages=says("Hello"), extra_headers={"x-credence-route": "standin"}
    )

    (entry,) = await books.charges(member)
    facts = dict(entry.facts)
    assert (facts["provider"], facts["attempts"]) == ("standin", "1")
    assert (raw.headers["x-credence-route"], raw.headers["x-credence-attempts"]) == ("standin=answered", "1")


@pytest.mark.parametrize(
    ("asked", "code"), [("nobody", "route_not_found"), ("no such thing", "invalid_route_preference")]
)
async def test_a_preference_that_cannot_be_met_is_refused(impatient: openai.AsyncOpenAI, asked: str, code: str) -> None:
    """Before anything is held, and in words that name the providers there are."""
    with pytest.raises(openai.BadRequestError) as refusal:
        await impatient.chat.completions.create(
            model=LLAMA, messages=says("Hello"), extra_headers={"x-credence-route": asked}
        )

    assert (refusal.value.code, refusal.value.param) == (code, "x-credence-route")
