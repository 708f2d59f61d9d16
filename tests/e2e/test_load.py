"""Correctness under load: many calls at once on a wallet that affords some of them, through the real gateway."""

import asyncio
import json
from collections import Counter
from typing import Any

import aiohttp

from local.deployment import Deployment
from local.people import Person
from local.stack import Stack
from tests.clients import add_person, balance_micros
from tests.e2e.books import Books, account_of

CALLS = 200
AFFORDED = 50
TIMEOUT = aiohttp.ClientTimeout(total=120)


def body(*, stream: bool) -> dict[str, Any]:
    """A call whose charge is its whole hold: the stand-in reports more than was quoted, so the cap decides."""
    message = {"role": "user", "content": "[[usage-huge]] hello"}
    return {
        "model": "meta-llama/Meta-Llama-3.1-8B-Instruct",
        "messages": [message],
        "max_tokens": 20,
        "stream": stream,
        "stream_options": {"include_usage": stream},
    }


async def chat(session: aiohttp.ClientSession, url: str, person: Person, *, stream: bool) -> tuple[int, dict[str, Any]]:
    """Status, and the answer or the stream's last chunk."""
    headers = {"authorization": f"Bearer {person.token}"}
    async with session.post(f"{url}/v1/chat/completions", json=body(stream=stream), headers=headers) as response:
        text = await response.text()
        if response.status == 200 and stream:
            *_, last, done = text.strip().split("\n\n")
            assert done == "data: [DONE]"
            return 200, json.loads(last.removeprefix("data: "))
        return response.status, json.loads(text)


async def test_a_wallet_for_fifty_answers_fifty_of_two_hundred_at_once(
    stack: Stack, deployment: Deployment, books: Books
) -> None:
    """50 answers, 150 clean refusals, nothing left, nothing overspent, and the chain proves it."""
    person = add_person(stack, deployment)
    await books.fund(person, 0)
    async with aiohttp.ClientSession(timeout=TIMEOUT, connector=aiohttp.TCPConnector(limit=0)) as session:
        prices = [(await chat(session, deployment.url, person, stream=stream))[1] for stream in (False, True)]
        # The quote is the same for both but for what `stream` adds to the request; the refusal states it.
        needed_micros = prices[0]["error"]["needed_micros"]
        assert needed_micros == prices[1]["error"]["needed_micros"]
        app = books.app()
        await app.ledger.grant_promo(
            account_of(person), AFFORDED * needed_micros, lifetime_ms=10**9, key="exact", facts={}
        )

        outcomes = await asyncio.gather(
            *(chat(session, deployment.url, person, stream=number % 2 == 0) for number in range(CALLS))
        )

    assert Counter(status for status, _ in outcomes) == {200: AFFORDED, 402: CALLS - AFFORDED}
    assert {answer["usage"]["cost_details"]["charged_micros"] for status, answer in outcomes if status == 200} == {
        needed_micros
    }
    assert {answer["error"]["code"] for status, answer in outcomes if status == 402} == {"insufficient_credits"}
    head = await books.head(person)
    charges = await books.charges(person)
    assert (head.balance_micros, dict(head.holds)) == (0, {})
    assert balance_micros(deployment, person) == 0
    assert head.spent_micros == AFFORDED * needed_micros == -sum(entry.delta_micros for entry in charges)
    assert len({dict(entry.facts)["request_id"] for entry in charges}) == AFFORDED
    report = books.verify(person)
    assert (report["entries"], report["balance_micros"]) == (2 + AFFORDED, 0)
