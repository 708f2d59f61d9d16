"""Cards under load and in the official client: as an API key, never overspent, and closed in the middle of a call."""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import openai
import pytest

from local.deployment import Deployment
from local.people import Person
from shared.base.ids import AccountId, UserId
from shared.base.periods import Period
from shared.cards.models import Terms
from shared.ledger.models import SpendLimit
from tests.clients import answer, balance_micros, call
from tests.e2e.books import Books
from tests.e2e.test_load import AFFORDED, CALLS, TIMEOUT, body

LLAMA = "meta-llama/Meta-Llama-3.1-8B-Instruct"


def create(deployment: Deployment, member: Person, amount_micros: int = 50_000_000, **terms: Any) -> dict[str, Any]:
    asked = {"name": "a card", "amount_micros": amount_micros, "idempotency_key": secrets.token_hex(8), **terms}
    return answer(call(deployment, "POST", "/v1/cards", member.token, json=asked))


@asynccontextmanager
async def client_of(deployment: Deployment, key: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{deployment.url}/v1", api_key=key) as made:
        yield made


async def test_a_card_is_an_api_key_for_the_official_client(deployment: Deployment, member: Person) -> None:
    """Whole and streamed; the card pays, the wallet does not."""
    created = create(deployment, member)
    before = balance_micros(deployment, member)
    asked: Any = {"model": LLAMA, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 50}
    async with client_of(deployment, created["key"]) as client:
        whole: Any = await client.chat.completions.create(**asked)
        stream = await client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
        chunks: list[Any] = [chunk async for chunk in stream]

    charged = [usage.cost_details["charged_micros"] for usage in (whole.usage, chunks[-1].usage)]
    standing = answer(call(deployment, "GET", f"/v1/cards/{created['card']['card_id']}", member.token))["standing"]
    assert standing["spent_micros"] == standing["spent_day_micros"] == sum(charged) > 0
    assert balance_micros(deployment, member) == before


async def test_the_client_is_told_of_refused_keys_in_its_own_types(deployment: Deployment, member: Person) -> None:
    """And tries none of them again."""
    expired = create(deployment, member, expires_at_ms=1)
    other = create(deployment, member, models=["google/gemma-2-2b-it"])
    asked: Any = {"model": LLAMA, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 50}

    for key, error, code in (
        (expired["key"], openai.PermissionDeniedError, "card_expired"),
        (other["key"], openai.PermissionDeniedError, "model_not_allowed"),
        (other["key"] + "x", openai.AuthenticationError, "invalid_card_key"),
    ):
        async with client_of(deployment, key) as client:
            with pytest.raises(error) as caught:
                await client.chat.completions.create(**asked)
        assert caught.value.code == code


@pytest.mark.parametrize("by_limit", [False, True])
async def test_a_card_for_fifty_answers_fifty_of_two_hundred_at_once(
    deployment: Deployment, member: Person, books: Books, by_limit: bool
) -> None:
    """Whether its credits end there or its limit does: 50 answers, 150 clean refusals, overshoot 0."""
    app, uid = books.app(), UserId(member.uid)
    created = await app.cards.create(uid, Terms("load"), 0, key="load")
    assert created.key is not None
    key, card = created.key.reveal(), created.card
    async with aiohttp.ClientSession(timeout=TIMEOUT, connector=aiohttp.TCPConnector(limit=0)) as session:
        _, refused = await _chat(session, deployment, key)
        needed_micros = refused["error"]["needed_micros"]
        exact = AFFORDED * needed_micros
        await app.cards.fund(uid, card.card_id, exact * 2 if by_limit else exact, key="exact")
        if by_limit:
            await app.funds.limit(card.account_id, SpendLimit(exact, Period.DAY))

        outcomes = await asyncio.gather(*(_chat(session, deployment, key) for _ in range(CALLS)))

    assert Counter(status for status, _ in outcomes) == {200: AFFORDED, 402: CALLS - AFFORDED}
    assert {answer["error"]["code"] for status, answer in outcomes if status == 402} == {"insufficient_credits"}
    head = await app.ledger.head(card.account_id)
    assert head.allowance is not None
    assert (head.spent_micros, head.allowance.day_micros, dict(head.holds)) == (exact, exact, {})
    assert head.balance_micros == (exact if by_limit else 0)


@pytest.mark.parametrize("by_timer", [False, True])
async def test_a_card_closed_during_a_call_gives_back_all_but_its_charge(
    deployment: Deployment, member: Person, books: Books, by_timer: bool
) -> None:
    """The call goes on to its end; a second close finishes, or the timer does."""
    before = balance_micros(deployment, member)
    created = create(deployment, member)
    path = f"/v1/cards/{created['card']['card_id']}"
    async with client_of(deployment, created["key"]) as client:
        stream = await client.chat.completions.create(
            model=LLAMA,
            messages=[{"role": "user", "content": "[[long]]"}],
            max_tokens=1_000,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks: list[Any] = [await anext(stream)]
        closing = answer(call(deployment, "POST", f"{path}/close", member.token))
        chunks += [chunk async for chunk in stream]

    if by_timer:
        swept = answer(call(deployment, "POST", "/_timers/card_sweep", deployment.scheduler_token, json={}))
        assert swept["closed"] >= 1
        closed = {"card": answer(call(deployment, "GET", path, member.token))["card"]}
    else:
        closed = answer(call(deployment, "POST", f"{path}/close", member.token))
    charged = chunks[-1].usage.cost_details["charged_micros"]
    assert (closing["card"]["status"], closed["card"]["status"]) == ("closing", "closed")
    assert by_timer or closing["held_micros"] == closed["returned_micros"] + charged
    assert balance_micros(deployment, member) == before - charged
    assert (await books.app().ledger.head(AccountId(created["card"]["account_id"]))).balance_micros == 0


async def _chat(session: aiohttp.ClientSession, deployment: Deployment, key: str) -> tuple[int, dict[str, Any]]:
    headers = {"authorization": f"Bearer {key}"}
    url = f"{deployment.url}/v1/chat/completions"
    async with session.post(url, json=body(stream=False), headers=headers) as response:
        return response.status, await response.json()
