"""Contributed keys under load: many calls at once, through several gateways, over quotas that suffice for some."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import aiohttp
import pytest
from msgspec.structs import replace

from local.deployment import Deployment
from local.people import Person
from local.stack import Stack
from shared.app import App
from shared.base.ids import UserId
from shared.base.secret import Secret
from shared.ledger.models import HOUSE_REVENUE, Entry
from shared.resources.models import KEY_FACT, ContributedKey, KeyId, KeyStatus
from shared.resources.rules import host_of
from shared.resources.store import record_document
from shared.shelf import rules
from shared.shelf.sweep import LeaseSweep
from tests.clients import add_person
from tests.e2e.books import Books, account_of

MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct"
OTHER_MODEL = "google/gemma-2-2b-it"
PROVIDER = "standin"
SEEN_WITHIN_S = 0.5
GATEWAYS, CALLS = 3, 200
KEYS, CALLS_OF_A_KEY = 5, 24
SERVED = KEYS * CALLS_OF_A_KEY
TIMEOUT = aiohttp.ClientTimeout(total=120)


def body(*, stream: bool = False, model: str = MODEL) -> dict[str, Any]:
    """A call whose charge is its whole hold: the stand-in reports more than was quoted, so the cap decides."""
    message = {"role": "user", "content": "[[usage-huge]] hello"}
    return {"model": model, "messages": [message], "max_tokens": 20, "stream": stream}


async def chat(session: aiohttp.ClientSession, deployment: Deployment, person: Person, **rest: Any) -> tuple[int, str]:
    headers = {"authorization": f"Bearer {person.token}"}
    async with session.post(f"{deployment.url}/v1/chat/completions", json=body(**rest), headers=headers) as response:
        return response.status, await response.text()


@pytest.fixture(params=["", PROVIDER], ids=["with the platform's own key", "with no other key"])
def gateways(request: pytest.FixtureRequest, stack: Stack) -> Iterator[list[Deployment]]:
    """Several processes of one project. Without a key of the platform's, what the contributed ones leave is refused."""
    environment = {"LENT_PROVIDERS": request.param}
    project_id = f"demo-{secrets.token_hex(8)}"
    with ExitStack() as serving:
        first = serving.enter_context(Deployment(stack, project_id, environment=environment))
        shared = {**environment, "VAULT_KEY_FILE": first.environment["VAULT_KEY_FILE"]}
        others = [Deployment(stack, project_id, environment=shared, beside=first) for _ in range(GATEWAYS - 1)]
        yield [first, *(serving.enter_context(other) for other in others)]


@pytest.fixture
def books(stack: Stack, gateways: list[Deployment]) -> Iterator[Books]:
    with Books.of(stack, gateways[0].project_id) as opened:
        yield Books({**opened.environment, "VAULT_KEY_FILE": gateways[0].environment["VAULT_KEY_FILE"]})


async def put_key(app: App, number: int, quota_micros: int) -> KeyId:
    """An active key of an owner of its own, as its deposit and its validation leave one."""
    (provider,) = [provider for provider in app.providers if provider.name == PROVIDER]
    key = ContributedKey(
        id=KeyId(f"abcdefghijk{'abcdefg'[number]}"),
        owner=UserId(f"owner{number}"),
        provider=PROVIDER,
        host=host_of(provider.base_url),
        models=(MODEL,),
        quota_micros=quota_micros,
        status=KeyStatus.ACTIVE,
        trust_ppm=500_000,
        fingerprint=f"fingerprint{number}",
    )
    sealed = await app.vault.seal(Secret(f"sk-live-{secrets.token_hex(8)}"), key.binding)
    await app.firestore.collection("resources").document(key.id).set(record_document(replace(key, sealed=sealed)))
    return key.id


async def needed_micros(session: aiohttp.ClientSession, deployment: Deployment, person: Person) -> int:
    """What a call holds, which its refusal states to an empty wallet."""
    async with session.post(
        f"{deployment.url}/v1/chat/completions", json=body(), headers={"authorization": f"Bearer {person.token}"}
    ) as response:
        assert response.status == 402
        needed: int = (await response.json())["error"]["needed_micros"]
        return needed


async def test_five_keys_serve_what_their_quotas_cover_of_two_hundred_calls_at_once(
    stack: Stack, gateways: list[Deployment], books: Books, request: pytest.FixtureRequest
) -> None:
    """120 by the keys, none of which is overrun; the rest by the platform's own key or not at all; and every credit is
    where the ledger says.
    """
    own_key = "no other" not in request.node.callspec.id
    app = books.app()
    buyers = [add_person(stack, gateways[0]) for _ in range(4)]
    for buyer in buyers:
        await books.fund(buyer, 0)
    visitor = add_person(stack, gateways[0])
    await books.fund(visitor, 1_000_000_000)
    async with aiohttp.ClientSession(timeout=TIMEOUT, connector=aiohttp.TCPConnector(limit=0)) as session:
        price = await needed_micros(session, gateways[0], buyers[0])
        for number in range(KEYS):
            await put_key(app, number, CALLS_OF_A_KEY * price)
        for gateway in gateways:
            # Nobody lent a key for this model; the call only has the process read what keys there are.
            await chat(session, gateway, visitor, model=OTHER_MODEL)
        await asyncio.sleep(SEEN_WITHIN_S)
        for buyer in buyers:
            await app.ledger.grant_paid(account_of(buyer), CALLS // 4 * price, key=f"buy:{buyer.uid}", facts={})

        outcomes = await asyncio.gather(
            *(
                chat(session, gateways[number % GATEWAYS], buyers[number % 4], stream=number % 5 == 0)
                for number in range(CALLS)
            )
        )

    statuses = Counter(status if "error" not in text else 503 for status, text in outcomes)
    charges = [entry for buyer in buyers for entry in await books.charges(buyer)]
    by_key = Counter(dict(entry.facts).get(KEY_FACT) for entry in charges)
    assert sum(count for key_id, count in by_key.items() if key_id) == SERVED
    assert {count for key_id, count in by_key.items() if key_id} == {CALLS_OF_A_KEY}
    assert statuses == ({200: CALLS} if own_key else {200: SERVED, 503: CALLS - SERVED})
    assert by_key[None] == (CALLS - SERVED if own_key else 0)
    check_credits(charges, price)
    for buyer in buyers:
        report = books.verify(buyer)
        mine = [entry for entry in charges if entry.account_id == account_of(buyer)]
        assert report["balance_micros"] == CALLS // 4 * price - len(mine) * price
        assert dict((await books.head(buyer)).holds) == {}
    await check_quotas(books, price)


def check_credits(charges: list[Entry], price: int) -> None:
    """Each charge is whole: an owner has 0.85 x 0.9 of what their key served, the platform all else."""
    for entry in charges:
        assert -entry.delta_micros == price == sum(leg.amount_micros for leg in entry.legs)
        owners = [leg for leg in entry.legs if leg.account_id != HOUSE_REVENUE]
        if KEY_FACT in dict(entry.facts):
            assert [abs(leg.amount_micros * 1000 - price * 765) < 1000 for leg in owners] == [True]
        else:
            assert not owners


async def check_quotas(books: Books, price: int) -> None:
    """No key is overrun, and once the leases are over what was leased is what was used."""
    app = books.app()
    before = [shelved.key for shelved in await app.shelf_store.active()]
    assert len(before) == KEYS
    assert all(key.leased_micros - key.returned_micros <= key.quota_micros for key in before)
    later = books.app(lambda: app.clock() + 2 * rules.LEASE_MS)
    await LeaseSweep(later.shelf_store, later.clock).run()
    for shelved in await app.shelf_store.active():
        key = shelved.key
        assert key.leased_micros - key.returned_micros == CALLS_OF_A_KEY * price == key.quota_micros
