"""What is owed, and a day of the house, on Firestore's emulator."""

import os
import time

import pytest

from local.deployment import Deployment
from local.stack import Stack
from shared.app import App
from shared.base.ids import AccountId
from shared.base.settings import Settings
from shared.ledger.models import HOUSE_REVENUE, Origin
from shared.ledger.postings import OpenAccount
from shared.ledger.settling import Folded, Settle, Window
from shared.reconciliation.days import moved, start_ms
from tests.clients import add_member

pytestmark = pytest.mark.stack

DAY_MS = 86_400_000


def app_of(deployment: Deployment, *, days_later: int) -> App:
    """The functions' own parts, so many days from now."""
    os.environ["FIRESTORE_EMULATOR_HOST"] = deployment.environment["FIRESTORE_EMULATOR_HOST"]
    later_ms = days_later * DAY_MS
    return App(Settings.from_environment(deployment.environment), lambda: time.time_ns() // 1_000_000 + later_ms)


async def test_what_is_owed_is_what_stands_on_accounts(stack: Stack, deployment: Deployment) -> None:
    """All wallets counted one by one, against a report that reads none of them."""
    app = app_of(deployment, days_later=0)
    await app.ledger.grant_paid(
        AccountId(f"user:{add_member(stack, deployment).uid}"), 77, key="owed", facts={"reason": "a test"}
    )

    report = await app.finance.report("2026-01-01", "2026-01-01")

    sums = dict.fromkeys(Origin, 0)
    async for found in app.firestore.collection("accounts").stream():
        if found.id.partition(":")[0] in ("user", "card", "pool", "escrow"):
            for lot in found.get("lots"):
                sums[Origin(lot["origin"])] += lot["remaining_micros"]
    assert {row.origin: row.unspent_micros for row in report.owed} == sums
    assert sums[Origin.PAID] >= 77
    assert report.drift_micros == 0


async def test_a_day_of_the_house_is_folded_from_its_settlements(stack: Stack, project_id: str) -> None:
    os.environ["FIRESTORE_EMULATOR_HOST"] = stack.firestore_address
    app = App(Settings.from_environment(stack.environment(project_id)))
    day = "2026-01-05"
    await app.ledger_engine.run(OpenAccount(account_id=HOUSE_REVENUE, at_ms=0))
    for number, at_ms in enumerate((start_ms(day) - 300_000, start_ms(day), start_ms(moved(day, 1)))):
        folded = Folded(HOUSE_REVENUE, 1, ((Origin.PAID, 10**number),), "0" * 64)
        window = Window(at_ms // 1000, 0)
        await app.ledger_engine.run(Settle(account_id=HOUSE_REVENUE, window=window, folded=folded, at_ms=at_ms))

    kept = await app.house_days.keep(day)

    assert await app.house_books.find(day) == kept
    assert (kept.opening, kept.moved) == ({HOUSE_REVENUE: {"paid": 1}}, {HOUSE_REVENUE: {"paid": 10}})
    after = await app.house_days.keep(moved(day, 1))
    assert (after.opening, after.moved) == ({HOUSE_REVENUE: {"paid": 11}}, {HOUSE_REVENUE: {"paid": 100}})
