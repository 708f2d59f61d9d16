"""The timer that sweeps expired credits: on Firestore, because what it finds is an index's matter."""

from collections.abc import AsyncIterator

import pytest
from google.cloud import firestore

from shared.ledger.administration import Administration
from shared.ledger.engine import Engine
from shared.ledger.expiry import Expiry, ExpiryReport
from shared.ledger.lapsed import FirestoreLapsed
from shared.ledger.models import HOUSE_BREAKAGE
from shared.ledger.store import FirestoreLedgerStore, StoreUnavailable
from tests.database import firestore_at
from tests.ledger.builders import ADA, BEN, CLARA, NOW, Ticker, grant, open_account, place

SOON = NOW + 1_000
pytestmark = pytest.mark.stack


class Desk:
    """A ledger in which Ada's and Ben's promotional credits expire soon, and a clock."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self.time = Ticker()
        self.store = FirestoreLedgerStore(client)
        self.engine = Engine(self.store)
        self.expiry = Expiry(Administration(self.engine, self.store, self.time), FirestoreLapsed(client), self.time)

    async def balances(self) -> list[int]:
        seen = await self.store.read([ADA, BEN, CLARA], ())
        return [known.head.balance_micros for known in seen.heads.values() if known.head]


@pytest.fixture
async def desk(client: firestore.AsyncClient) -> AsyncIterator[Desk]:
    desk = Desk(client)
    for account_id in (ADA, BEN, CLARA):
        await desk.engine.run(open_account(account_id))
        await desk.engine.run(grant(100, "paid", to=account_id))
    await desk.engine.run(grant(7, "promo", to=ADA, promo_until=SOON))
    await desk.engine.run(grant(5, "promo", to=BEN, promo_until=SOON))
    await desk.engine.run(grant(3, "promo", to=CLARA, promo_until=SOON + 60_000))
    return desk


async def test_what_expired_goes_to_breakage_once_and_nothing_else_does(desk: Desk) -> None:
    assert await desk.expiry.run() == ExpiryReport(0, 0, finished=True)
    desk.time.now_ms = SOON

    assert await desk.expiry.run() == ExpiryReport(2, 0, finished=True)
    assert await desk.expiry.run() == ExpiryReport(0, 0, finished=True)

    assert await desk.balances() == [100, 100, 103]
    head = (await desk.store.read([ADA], ())).heads[ADA].head
    assert head is not None
    assert [lot.expires_at_ms for lot in head.lots] == [None]


async def test_a_sweep_names_where_the_credits_went(desk: Desk, client: firestore.AsyncClient) -> None:
    desk.time.now_ms = SOON
    await desk.expiry.run()

    entries = [one.to_dict() or {} async for one in client.collection(f"accounts/{ADA}/entries").stream()]

    (swept,) = [entry for entry in entries if entry["kind"] == "expire"]
    assert [(leg["account"], leg["amount_micros"]) for leg in swept["legs"]] == [(HOUSE_BREAKAGE, 7)]


async def test_credits_that_a_call_under_way_may_still_pay_with_wait(desk: Desk) -> None:
    await desk.engine.run(place(106, lifetime_ms=60_000))
    desk.time.now_ms = SOON + 1

    assert await desk.expiry.run() == ExpiryReport(1, 1, finished=True)
    desk.time.now_ms = NOW + 60_000
    assert await desk.expiry.run() == ExpiryReport(1, 0, finished=True)

    assert await desk.balances() == [100, 100, 103]


async def test_a_store_that_does_not_answer_is_told(desk: Desk) -> None:
    async with firestore_at("127.0.0.1:1", "demo-nobody") as nowhere:
        desk.expiry = Expiry(Administration(desk.engine, desk.store, desk.time), FirestoreLapsed(nowhere), desk.time)
        with pytest.raises(StoreUnavailable):
            await desk.expiry.run()
