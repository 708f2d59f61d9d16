"""What an audit finds of a settlement that somebody changed, took away or made up."""

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.base.ids import AccountId
from shared.ledger.documents import Document, band_of
from shared.ledger.earnings import Earnings
from shared.ledger.errors import PayeeNotDeferred
from shared.ledger.memory import MemoryLedgerArchive
from shared.ledger.models import Head, Origin
from shared.ledger.postings import OpenAccount
from shared.ledger.settling import WINDOW_S, Folded, Settle, Window, settle_id
from shared.ledger.verify import verify_ledger
from tests.ledger.builders import ADA, BEN, NOW, Ticker, engine_on, opened
from tests.ledger.settling import (
    CARD,
    CLOSED_MS,
    CREATOR,
    HELPER,
    LAST,
    MemorySales,
    assert_sound,
    busy,
    checked,
    settlement_of,
    sold,
)
from tests.ledger.tampering import LedgerAt, document_at, reseal, rewrite

TAMPERINGS: dict[str, dict[str, Any]] = {
    "a sale moved to another window": {"committed_at": datetime.fromtimestamp(NOW / 1000 - 10 * WINDOW_S).astimezone()},
    "a sale without a time": {"committed_at": None},
}


@pytest.mark.parametrize("name", TAMPERINGS)
async def test_the_time_of_a_commit_counts(name: str) -> None:
    """It stands outside of the hash; what was folded by it gives a change away."""
    clock = Ticker()
    ledger = await busy(clock)
    clock.now_ms += CLOSED_MS
    await settlement_of(ledger, clock).run()
    await rewrite(ledger, BEN, 3, **TAMPERINGS[name])

    assert (await checked(ledger)).broken


async def test_a_settlement_that_was_deleted_whole_is_missed() -> None:
    """A payee's account that vanishes without a trace leaves the window that owed it."""
    clock = Ticker()
    ledger = await busy(clock)
    clock.now_ms += CLOSED_MS
    await settlement_of(ledger, clock).run()
    del ledger.store.heads[CREATOR]  # type: ignore[attr-defined]
    for ref in [ref for ref in ledger.store.entries if ref[0] == CREATOR]:  # type: ignore[attr-defined]
        await ledger.delete_entry(*ref)

    report = await checked(ledger)

    assert {error.account_id for error in report.broken} == {CREATOR}


@pytest.mark.parametrize("fact", ["count", "root"])
async def test_a_settlement_that_says_it_folds_something_else_is_found(fact: str) -> None:
    """Its chain holds and no credit is missing: only folding the window anew shows the forgery."""
    clock = Ticker()
    ledger = await busy(clock)
    clock.now_ms += CLOSED_MS
    await settlement_of(ledger, clock).run()
    entry_id, document = await document_at(ledger, HELPER, LAST)
    await reseal(ledger, HELPER, LAST, facts={**document["facts"], fact: "0"})
    _, forged = await document_at(ledger, HELPER, LAST)
    await ledger.edit_head(HELPER, hash=forged["hash"])

    report = await checked(ledger)

    assert [(error.account_id, error.entry_id) for error in report.broken] == [(HELPER, entry_id)]


@pytest.mark.parametrize("start_s", [NOW // 1000 - NOW // 1000 % WINDOW_S, 4_000_000_200, 10**18])
async def test_a_settlement_of_nothing_is_found(start_s: int) -> None:
    """Credits from nowhere under the name of a window that is not settled yet, or never will be."""
    clock = Ticker()
    ledger = await busy(clock)
    thief = AccountId("earn:thief")
    folded = Folded(thief, 1, ((Origin.PAID, 10**9),), "00" * 32)
    engine = engine_on(ledger.store)
    await engine.run(OpenAccount(account_id=thief, at_ms=NOW))
    await engine.run(Settle(account_id=thief, window=Window(start_s, 0), folded=folded, at_ms=NOW))

    report = await checked(ledger)

    assert [error.account_id for error in report.broken] == [thief]


class _OnceMore(Settle, frozen=True, kw_only=True):
    """The settlement of a window under another key than the window's."""

    def idempotency_key(self) -> str:
        return "once more"


async def test_a_window_that_is_settled_twice_is_found() -> None:
    """The second entry says of the same sales what the first says, under an id of its own."""
    clock = Ticker()
    ledger = await busy(clock)
    clock.now_ms += CLOSED_MS
    await settlement_of(ledger, clock).run()
    window = Window(NOW // 1000 - NOW // 1000 % WINDOW_S, band_of(ADA))
    first = (await ledger.store.read((), [(CREATOR, settle_id(window))])).entries[CREATOR, settle_id(window)]
    facts = dict(first.facts)
    amounts = tuple((change.origin, change.delta_micros) for change in first.lots)
    folded = Folded(CREATOR, int(facts["count"]), amounts, facts["root"])
    await engine_on(ledger.store).run(_OnceMore(account_id=CREATOR, window=window, folded=folded, at_ms=NOW))

    report = await checked(ledger)

    assert [error.reason for error in report.broken] == ["settles another window than its id stands for"]


def test_a_wallet_is_never_settled() -> None:
    """What moves credits to it is posted at once; a window would give it the same a second time."""
    folded = Folded(ADA, 1, ((Origin.PAID, 1),), "00" * 32)

    with pytest.raises(PayeeNotDeferred):
        Settle(account_id=ADA, window=Window(0, 0), folded=folded, at_ms=NOW).apply({ADA: Head(ADA)})


async def test_horizons_that_were_set_back_excuse_no_settlement() -> None:
    clock = Ticker()
    ledger = await busy(clock)
    clock.now_ms += CLOSED_MS
    await settlement_of(ledger, clock).run()
    ledger.windows.settled_until.clear()  # type: ignore[attr-defined]
    await assert_sound(ledger)

    await rewrite(ledger, BEN, 3, **TAMPERINGS["a sale moved to another window"])

    assert (await checked(ledger)).broken


class SettledMeanwhile(MemoryLedgerArchive):
    """An archive in which a card buys, and is settled, once a number of accounts was read."""

    def __init__(self, ledger: LedgerAt, clock: Ticker, accounts: int) -> None:
        super().__init__(ledger.store)  # type: ignore[arg-type]
        self._ledger = ledger
        self._clock = clock
        self._accounts_left = accounts

    async def head_and_count(self, account_id: AccountId) -> tuple[Document | None, int]:
        if not self._accounts_left:
            await engine_on(self._ledger.store).run(sold(31, "sale of a card", by=CARD))
            self._clock.now_ms += CLOSED_MS
            await settlement_of(self._ledger, self._clock).run()
        self._accounts_left -= 1
        return await super().head_and_count(account_id)


async def test_a_settlement_while_the_ledger_is_checked_is_no_fault() -> None:
    """At any moment of the check: buyers are read after payees, also those whose names come first."""
    for accounts in range(8):
        clock = Ticker()
        ledger = await busy(clock)
        clock.now_ms += CLOSED_MS
        await settlement_of(ledger, clock).run()
        await opened(ledger.store, paid=1_000, accounts=(CARD,))
        horizons = await ledger.windows.horizons()

        report = await verify_ledger(SettledMeanwhile(ledger, clock, accounts), horizons.settled_until)

        assert (report.broken, report.drift_micros) == ((), 0)


@pytest.mark.parametrize("year", [1, 9999])
async def test_a_time_of_commit_far_away_stops_nobody(year: int) -> None:
    """Its own sale is not settled, or not counted; all others are, and the check says what it finds."""
    clock = Ticker()
    ledger = await busy(clock)
    await rewrite(ledger, BEN, 3, committed_at=datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC))
    clock.now_ms += CLOSED_MS

    report = await settlement_of(ledger, clock).run()

    assert report.finished
    assert (await Earnings(ledger.store, ledger.windows, MemorySales(ledger)).of(CREATOR)).pending_is_whole
    await assert_sound(ledger)
