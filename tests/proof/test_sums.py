"""The sums of an epoch: they cancel on a ledger that is posted to meanwhile, and on both stores they are the same."""

import asyncio

from google.cloud import firestore

from shared.ledger.windows import FirestoreLedgerWindows
from shared.proof.sums import FirestoreEpochSums, Totals
from tests.ledger.builders import ADA, BEN, CLARA, debit, engine_on, opened, transfer
from tests.proof.builders import LogAt

ALL = (ADA, BEN, CLARA)


async def test_balances_and_unsettled_legs_cancel(at: LogAt) -> None:
    """A transfer has posted both of its sides, so it is no leg that waits."""
    await opened(at.ledger, paid=100, accounts=ALL)
    await engine_on(at.ledger).run(debit(30))
    await engine_on(at.ledger).run(transfer(20))

    totals = await at.sums.totals()

    assert totals == Totals(accounts=3, balances_micros=270, unsettled_micros=-270)
    assert totals.drift_micros == 0


async def test_an_empty_ledger_sums_to_nothing(at: LogAt) -> None:
    assert await at.sums.totals() == Totals(0, 0, 0)


PAUSE_S = 0.02


async def test_the_sums_are_of_one_moment(client: firestore.AsyncClient, firestore_log: LogAt) -> None:
    """Whatever is posted between the sum of the balances and the reading of the last entry."""
    await opened(firestore_log.ledger, paid=10**12, accounts=ALL)
    engine = engine_on(firestore_log.ledger)
    done = False

    async def post(payer: int) -> int:
        number = 0
        while not done:
            number += 1
            await engine.run(debit(1 + number, f"debit {payer} {number}", by=ALL[payer]))
            # Each sum reads all that was posted so far; without a pause there is ever more of it.
            await asyncio.sleep(PAUSE_S)
        return number

    posting = [asyncio.ensure_future(post(payer)) for payer in range(3)]
    seen = [await FirestoreEpochSums(client, FirestoreLedgerWindows(client)).totals() for _ in range(12)]
    done = True

    assert sum(await asyncio.gather(*posting)) > 12
    assert [totals.drift_micros for totals in seen] == [0] * 12
    assert len({totals.balances_micros for totals in seen}) > 1
