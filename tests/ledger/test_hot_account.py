"""One account under fire, on the real emulator: what can be paid is paid, and nothing more."""

import asyncio

from google.cloud import firestore

from local.stack import Stack
from shared.ledger.engine import Engine
from shared.ledger.errors import CreditTooLow
from shared.ledger.operation import Posted
from shared.ledger.store import FirestoreLedgerStore
from shared.ledger.verify import verify_account, verify_ledger
from tests.ledger.builders import ADA, BEN, debit, opened, transfer
from tests.ledger.tampering import OnFirestore


async def test_two_hundred_debits_at_once_from_three_processes_worth(
    stack: Stack, project_id: str, firestore_ledger: OnFirestore
) -> None:
    """200 debits of 10 on 500 credits, through three engines with a client each."""
    await opened(firestore_ledger.store, paid=500)
    engines = [Engine(FirestoreLedgerStore(firestore.AsyncClient(project=project_id))) for _ in range(3)]

    runs = [engines[i % 3].run(debit(10, f"debit:{i}")) for i in range(200)]
    outcomes = await asyncio.gather(*runs, return_exceptions=True)

    assert sum(isinstance(outcome, Posted) for outcome in outcomes) == 50
    assert sum(isinstance(outcome, CreditTooLow) for outcome in outcomes) == 150
    report = await verify_account(firestore_ledger.archive, ADA)
    assert (report.entries, report.balance_micros) == (52, 0)


async def test_transfers_in_both_directions_from_two_engines(
    stack: Stack, project_id: str, firestore_ledger: OnFirestore
) -> None:
    await opened(firestore_ledger.store, paid=500, accounts=(ADA, BEN))
    engines = [Engine(FirestoreLedgerStore(firestore.AsyncClient(project=project_id))) for _ in range(2)]

    async with asyncio.timeout(60):
        await asyncio.gather(
            *(engines[i % 2].run(transfer(3, f"there:{i}", by=ADA, to=BEN)) for i in range(10)),
            *(engines[i % 2].run(transfer(1, f"back:{i}", by=BEN, to=ADA)) for i in range(10)),
        )

    assert (await verify_account(firestore_ledger.archive, ADA)).balance_micros == 480
    report = await verify_ledger(firestore_ledger.archive, {})
    assert report.intact
