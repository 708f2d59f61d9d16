"""A thief with a card of their own: everything at once, and still no micro more than the card had or may."""

import asyncio
from contextlib import suppress
from typing import Any

import aiohttp
import pytest

from local.deployment import Deployment
from local.people import Person
from shared.base.ids import AccountId
from shared.base.periods import Period
from shared.ledger.models import SpendLimit
from tests.clients import answer, balance_micros, call
from tests.e2e.books import Books
from tests.e2e.test_cards import LLAMA, create
from tests.e2e.test_load import TIMEOUT

STREAMS = 60
LIMIT_MICROS = 3_000_000


@pytest.mark.parametrize("limited", [False, True])
async def test_a_card_that_is_used_funded_frozen_rotated_and_closed_at_once_loses_nothing(
    deployment: Deployment, member: Person, books: Books, limited: bool
) -> None:
    """Streams that are read and left, refills, new keys, new limits, in no order: the books balance to the micro, the
    limit holds, and once the card is closed all that was not charged is back in the wallet."""
    before = balance_micros(deployment, member)
    created = create(
        deployment,
        member,
        20_000_000,
        limit={"amount_micros": LIMIT_MICROS, "period": "day"} if limited else None,
        refill={"to_micros": 25_000_000, "period": "day"},
    )
    card_id, key = created["card"]["card_id"], [created["key"]]
    path = f"/v1/cards/{card_id}"

    async def stream(session: aiohttp.ClientSession, events: int) -> None:
        asked: dict[str, Any] = {"model": LLAMA, "messages": [{"role": "user", "content": "[[long]]"}], "stream": True}
        headers = {"authorization": f"Bearer {key[0]}"}
        url = f"{deployment.url}/v1/chat/completions"
        with suppress(aiohttp.ClientError):
            async with session.post(url, json={**asked, "max_tokens": 600}, headers=headers) as response:
                for _ in range(events):
                    await response.content.readline()
                if events % 2:
                    response.close()
                else:
                    await response.read()

    async def post(suffix: str, **fields: Any) -> dict[str, Any]:
        asked = await asyncio.to_thread(call, deployment, "POST", path + suffix, member.token, json=fields)
        return dict(asked.json())

    async def owner() -> None:
        for number in range(4):
            await post("/fund", amount_micros=1_000_000, idempotency_key=f"f{number // 2}")
            await post("", frozen=bool(number % 2))
            key[0] = (await post("/key")).get("key", key[0])
            await post("", frozen=False)

    async with aiohttp.ClientSession(timeout=TIMEOUT, connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(stream(session, number % 9) for number in range(STREAMS)), owner())
        closings = asyncio.gather(*(post("/close") for _ in range(5)))
        await asyncio.gather(*(stream(session, 4) for _ in range(10)), closings)

    account_id = AccountId(created["card"]["account_id"])
    ledger = books.app().ledger
    async with asyncio.timeout(30):
        while (await ledger.head(account_id)).holds:
            await asyncio.sleep(0.2)
    closed = answer(call(deployment, "POST", f"{path}/close", member.token))
    head = await books.app().ledger.head(account_id)
    assert (closed["card"]["status"], head.balance_micros, dict(head.holds)) == ("closed", 0, {})
    assert head.spent_micros > 0
    assert balance_micros(deployment, member) == before - head.spent_micros
    if limited:
        assert head.allowance is not None
        assert head.allowance.limit == SpendLimit(LIMIT_MICROS, Period.DAY)
        assert head.spent_micros <= LIMIT_MICROS
