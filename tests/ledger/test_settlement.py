"""Settlement: what closed windows owe is posted once, to the micro, whatever dies on the way; every fold is checked."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.base.ids import AccountId, EntryId
from shared.base.merkle import EMPTY_ROOT, root_of
from shared.ledger.documents import BANDS, Document, band_of
from shared.ledger.earnings import Earnings
from shared.ledger.errors import ChainBroken, EntryAbsent, KeyReused
from shared.ledger.memory import MemoryLedgerArchive
from shared.ledger.models import HOUSE_CLEARING, HOUSE_REVENUE, EntryKind, Origin, Share
from shared.ledger.postings import Debit, OpenAccount
from shared.ledger.settlement import MARGIN, PAYEES_AT_ONCE, WINDOWS_MAX, Settlement
from shared.ledger.settling import WINDOW_S, Fold, Folded, Settle, Window, owed_by, sale_leaf, settle_id, window_of
from shared.ledger.store import EntryRef, StoreUnavailable
from shared.ledger.unsettled import count_unsettled
from shared.ledger.verify import LedgerReport, verify_ledger
from shared.ledger.windows import Horizons, horizon_from
from tests.ledger.builders import ADA, BEN, DAY, NOW, Ticker, balance, chance_of, engine_on, grant, opened
from tests.ledger.tampering import LedgerAt, document_at, in_memory, reseal, rewrite

CREATOR = AccountId("earn:creator")
HELPER = AccountId("earn:helper")
CARD = AccountId("card:first")
SHARES = (Share(HOUSE_REVENUE, 30), Share(CREATOR, 60), Share(HELPER, 10))
LAST = 3
"""Of each payee's entries once a busy window is settled: the account opens, and each buyer is of another band."""
CLOSED_MS = int((WINDOW_S + MARGIN.total_seconds()) * 1000) + 1


def sold(amount: int, key: str, *, by: AccountId = ADA, shares: Sequence[Share] = SHARES) -> Debit:
    return Debit(account_id=by, amount_micros=amount, shares=tuple(shares), key=key, facts=(), at_ms=NOW)


def settlement_of(ledger: LedgerAt, clock: Ticker) -> Settlement:
    return Settlement(engine_on(ledger.store), ledger.windows, clock)


async def busy(clock: Ticker, *, sales: int = 5) -> LedgerAt:
    """Two buyers, three payees, all within one window."""
    ledger = in_memory(clock)
    await opened(ledger.store, paid=1_000, accounts=(ADA, BEN))
    engine = engine_on(ledger.store)
    await engine.run(grant(100, "promo", promo_until=NOW + DAY))
    for number in range(sales):
        await engine.run(sold(31, f"sale {number}", by=(ADA, BEN)[number % 2]))
    return ledger


async def checked(ledger: LedgerAt) -> LedgerReport:
    return await verify_ledger(ledger.archive, (await ledger.windows.horizons()).settled_until)


async def assert_sound(ledger: LedgerAt) -> LedgerReport:
    report = await checked(ledger)
    assert report.broken == ()
    assert report.drift_micros == 0
    return report


async def test_an_open_window_is_left_alone() -> None:
    """Until its end and the margin have passed, something may still be committed into it."""
    clock = Ticker()
    ledger = await busy(clock)
    clock.now_ms = NOW - NOW % (WINDOW_S * 1000) + CLOSED_MS - 2

    report = await settlement_of(ledger, clock).run()

    assert (report.windows, report.postings) == (0, 0)


async def test_what_is_owed_is_posted_and_cancelled_in_clearing() -> None:
    clock = Ticker()
    ledger = await busy(clock)
    before = await count_unsettled(ledger.windows, await ledger.windows.horizons())
    clock.now_ms += CLOSED_MS

    report = await settlement_of(ledger, clock).run()

    assert report.finished
    assert report.micros == before.micros == -2_100 + 5 * 31
    # House revenue, promotions and two people, from the bands of the two buyers.
    bands = len({band_of(buyer) for buyer in (ADA, BEN)})
    assert report.postings == 4 * bands
    assert await balance(ledger.store, CREATOR) == sum(entry["legs"][1]["amount_micros"] for entry in sales_in(ledger))  # type: ignore[arg-type]
    assert (await count_unsettled(ledger.windows, await ledger.windows.horizons())).micros == 0
    sound = await assert_sound(ledger)
    assert sound.balance_micros == sound.unsettled_micros == 0


def sales_in(ledger: LedgerAt) -> list[dict[str, Any]]:
    """The debits, as stored."""
    entries: dict[EntryRef, dict[str, Any]] = ledger.store.entries  # type: ignore[attr-defined]
    return [entry for entry in entries.values() if entry["kind"] == "debit"]


async def test_a_settlement_says_what_it_folds() -> None:
    """Its count, and a root that anybody can compute from the entries."""
    clock = Ticker()
    ledger = await busy(clock)
    clock.now_ms += CLOSED_MS
    await settlement_of(ledger, clock).run()
    window = Window(NOW // 1000 - NOW // 1000 % WINDOW_S, band_of(ADA))

    entry = (await ledger.store.read((), [(CREATOR, settle_id(window))])).entries[CREATOR, settle_id(window)]

    own = [sale for sale in sales_in(ledger) if band_of(AccountId(sale["account"])) == window.band]
    leaves = []
    for sale in sorted(own, key=lambda sale: str(sale["hash"])):
        amounts: dict[Origin, int] = {}
        for leg in sale["legs"]:
            if leg["account"] == CREATOR:
                amounts[Origin(leg["origin"])] = leg["amount_micros"]
        leaves.append(sale_leaf(sale["hash"], amounts))
    facts = dict(entry.facts)
    assert (facts["count"], facts["root"]) == (str(len(own)), root_of(leaves).hex())
    assert facts["root"] != EMPTY_ROOT.hex()
    assert {leg.account_id for leg in entry.legs} == {HOUSE_CLEARING}


async def test_a_second_run_changes_nothing() -> None:
    clock = Ticker()
    ledger = await busy(clock)
    clock.now_ms += CLOSED_MS
    await settlement_of(ledger, clock).run()
    before = dict(ledger.store.entries)  # type: ignore[attr-defined]

    again = await settlement_of(ledger, clock).run()

    assert again.postings == 0
    assert ledger.store.entries == before  # type: ignore[attr-defined]


class Dying:
    """Windows that fail at their n-th call, as a process that is killed there does to the rest of the run."""

    def __init__(self, inner: Any, calls_left: int) -> None:
        self._inner = inner
        self._calls_left = calls_left

    def _count(self) -> None:
        self._calls_left -= 1
        if self._calls_left < 0:
            raise StoreUnavailable

    async def horizons(self) -> Horizons:
        self._count()
        read: Horizons = await self._inner.horizons()
        return read

    async def put_horizon(self, band: int, settled_until: datetime) -> None:
        self._count()
        await self._inner.put_horizon(band, settled_until)

    async def first_committed_at(self, band: int, since: datetime | None) -> datetime | None:
        self._count()
        first: datetime | None = await self._inner.first_committed_at(band, since)
        return first

    async def entries_between(
        self, band: int, since: datetime | None, before: datetime | None
    ) -> AsyncIterator[tuple[EntryRef, Document]]:
        self._count()
        async for found in self._inner.entries_between(band, since, before):
            yield found

    async def existing(self, refs: Sequence[EntryRef], *, read_at: datetime) -> frozenset[EntryRef]:
        found: frozenset[EntryRef] = await self._inner.existing(refs, read_at=read_at)
        return found


async def test_a_run_that_dies_anywhere_and_runs_again_ends_the_same() -> None:
    """Between any two calls, and with any part of the payees posted."""
    outcomes = set()
    for dies_at in range(12):
        clock = Ticker()
        ledger = await busy(clock)
        clock.now_ms += CLOSED_MS
        try:
            await Settlement(engine_on(ledger.store), Dying(ledger.windows, dies_at), clock).run()
        except StoreUnavailable:
            # What is owed is right in between as well: a payee that was posted to is not counted twice.
            report = await checked(ledger)
            unsettled = await count_unsettled(ledger.windows, await ledger.windows.horizons())
            assert report.balance_micros + unsettled.micros == 0
        clock.now_ms += 1_000
        await settlement_of(ledger, clock).run()
        await assert_sound(ledger)
        outcomes.add(await balance(ledger.store, CREATOR))
        entries = ledger.store.entries  # type: ignore[attr-defined]
        assert len({ref for ref, entry in entries.items() if entry["kind"] == "settle"}) == sum(
            entry["kind"] == "settle" for entry in entries.values()
        )
    assert len(outcomes) == 1


async def test_a_window_that_changed_after_its_settlement_is_refused_and_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A commit that came into a closed window after all: nothing is posted twice, somebody is told."""
    clock = Ticker()
    ledger = await busy(clock)
    late_ms = clock.now_ms
    clock.now_ms += CLOSED_MS
    await settlement_of(ledger, clock).run()
    clock.now_ms, after_ms = late_ms, clock.now_ms
    await engine_on(ledger.store).run(sold(31, "late"))
    clock.now_ms = after_ms
    ledger.windows.settled_until.clear()  # type: ignore[attr-defined]

    with pytest.raises(KeyReused):
        await settlement_of(ledger, clock).run()

    assert "settlement_differs" in capsys.readouterr().out


async def test_a_band_that_cannot_be_read_keeps_no_other_waiting(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Ticker()
    ledger = in_memory(clock)
    buyers = {band_of(buyer): buyer for buyer in (AccountId(f"user:{number}") for number in range(50))}
    # In the order of their bands, so that the broken one is met first.
    broken, *others = (buyers[band] for band in range(BANDS))
    await opened(ledger.store, paid=1_000, accounts=(broken, *others))
    for buyer in (broken, *others):
        await engine_on(ledger.store).run(sold(31, f"sale by {buyer}", by=buyer, shares=[Share(CREATOR, 1)]))
    await rewrite(ledger, broken, LAST, kind="a gift")
    clock.now_ms += CLOSED_MS

    for _ in range(2):
        with pytest.raises(ChainBroken):
            await settlement_of(ledger, clock).run()
        assert await balance(ledger.store, CREATOR) == 31 * len(others)
    assert capsys.readouterr().out.count("settlement_stopped") == 2


async def test_only_so_many_windows_are_settled_in_one_run() -> None:
    """The timer has an end; the next run goes on."""
    clock = Ticker()
    ledger = in_memory(clock)
    await opened(ledger.store, paid=10_000)
    for number in range(WINDOWS_MAX + 5):
        clock.now_ms += WINDOW_S * 1000
        await engine_on(ledger.store).run(sold(1, f"sale {number}"))
    clock.now_ms += CLOSED_MS

    first, second = await settlement_of(ledger, clock).run(), await settlement_of(ledger, clock).run()

    assert (first.windows, first.finished) == (WINDOWS_MAX, False)
    assert second.finished
    await assert_sound(ledger)


async def test_more_payees_than_are_posted_at_once_are_all_paid() -> None:
    clock = Ticker()
    ledger = in_memory(clock)
    await opened(ledger.store, paid=10_000)
    payees = [AccountId(f"earn:{number}") for number in range(PAYEES_AT_ONCE * 2 + 3)]
    for number, payee in enumerate(payees):
        await engine_on(ledger.store).run(sold(number + 1, f"sale {number}", shares=[Share(payee, 1)]))
    clock.now_ms += CLOSED_MS

    await settlement_of(ledger, clock).run()

    assert [await balance(ledger.store, payee) for payee in payees] == [*range(1, len(payees) + 1)]  # type: ignore[arg-type]
    await assert_sound(ledger)


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


class MemorySales:
    """Sales of a ledger in memory."""

    def __init__(self, ledger: LedgerAt) -> None:
        self._ledger = ledger

    async def since(
        self, payee: AccountId, since: datetime | None, before: datetime | None
    ) -> AsyncIterator[tuple[EntryRef, Document]]:
        for band in range(BANDS):
            async for ref, document in self._ledger.windows.entries_between(band, since, before):
                if payee in document["payees"]:
                    yield ref, document


async def test_a_payee_sees_pending_and_settled_apart_and_which_sales_were_folded() -> None:
    clock = Ticker()
    ledger = await busy(clock)
    earnings = Earnings(ledger.store, ledger.windows, MemorySales(ledger))
    pending = await earnings.of(CREATOR)
    clock.now_ms += CLOSED_MS
    await settlement_of(ledger, clock).run()
    await engine_on(ledger.store).run(sold(10, "later"))
    settled = await earnings.of(CREATOR)

    assert sum(pending.settled.values()) == 0
    assert settled.settled == pending.pending
    assert sum(settled.pending.values()) == 6
    for band in {band_of(buyer) for buyer in (ADA, BEN)}:
        entry_id = settle_id(Window(NOW // 1000 - NOW // 1000 % WINDOW_S, band))
        folded = await earnings.settlement(CREATOR, entry_id)
        assert root_of([bytes.fromhex(sale.leaf) for sale in folded.sales]).hex() == dict(folded.entry.facts)["root"]
        assert sum(sum(sale.amounts.values()) for sale in folded.sales) == folded.entry.delta_micros
        with pytest.raises(EntryAbsent):
            await earnings.settlement(AccountId("earn:nobody"), entry_id)
    with pytest.raises(EntryAbsent):
        await earnings.settlement(CREATOR, EntryId("0" * 64))


@pytest.mark.parametrize("fields", [None, {}, {"settled_until": "soon"}, {"settled_until": 5}])
def test_a_horizon_that_is_no_moment_is_told(fields: dict[str, Any] | None) -> None:
    """It is neither taken for one nor for that of a band which was never settled."""
    with pytest.raises(ChainBroken, match="band:2"):
        horizon_from("band:2", fields)


async def test_a_settlement_of_more_sales_than_one_answer_holds_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Ticker()
    ledger = await busy(clock, sales=6)
    clock.now_ms += CLOSED_MS
    await settlement_of(ledger, clock).run()
    earnings = Earnings(ledger.store, ledger.windows, MemorySales(ledger))
    entry_id = settle_id(Window(NOW // 1000 - NOW // 1000 % WINDOW_S, band_of(ADA)))

    for most, whole in ((6, True), (5, False)):
        monkeypatch.setattr("shared.ledger.earnings.SALES_MAX", most)
        assert (await earnings.settlement(CREATOR, entry_id)).sales_are_whole is whole


async def test_a_band_with_nothing_to_settle_keeps_up() -> None:
    """What is pending is read from the oldest horizon on, so none may stay behind for ever."""
    clock = Ticker()
    ledger = await busy(clock)
    clock.now_ms += CLOSED_MS
    await settlement_of(ledger, clock).run()
    assert len((await ledger.windows.horizons()).settled_until) == BANDS
    clock.now_ms += DAY
    await engine_on(ledger.store).run(sold(31, "a day later"))

    await settlement_of(ledger, clock).run()

    horizons = await ledger.windows.horizons()
    assert all(horizons.read_at - until < timedelta(hours=2) for until in horizons.settled_until.values())
    assert (await count_unsettled(ledger.windows, await ledger.windows.horizons())).micros == 31
    await assert_sound(ledger)


async def test_no_sale_is_both_pending_and_settled() -> None:
    """A run that dies after some of its postings leaves what it posted settled, whatever its horizon says."""
    for dies_at in range(16):
        clock = Ticker()
        ledger = await busy(clock)
        earnings = Earnings(ledger.store, ledger.windows, MemorySales(ledger))
        whole = sum((await earnings.of(CREATOR)).pending.values())
        clock.now_ms += CLOSED_MS
        with suppress(StoreUnavailable):
            await Settlement(engine_on(ledger.store), Dying(ledger.windows, dies_at), clock).run()

        earned = await earnings.of(CREATOR)

        assert sum(earned.pending.values()) + sum(earned.settled.values()) == whole


@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)), min_size=1, max_size=20), st.randoms())
async def test_the_order_of_reading_does_not_matter(weights: list[tuple[int, int]], order: Any) -> None:
    """Two processes that read pages in another order fold the same."""
    ledger = in_memory(Ticker())
    await opened(ledger.store, paid=10**9)
    engine = engine_on(ledger.store)
    entries = []
    for number, (one, other) in enumerate(weights):
        debit = sold(one + other, f"{number}", shares=[Share(CREATOR, one), Share(HELPER, other)])
        entries.append((await engine.run(debit)).entry)
    plain, shuffled = Fold(), Fold()
    for entry in entries:
        plain.add(entry)
    order.shuffle(entries)
    for entry in entries:
        shuffled.add(entry)

    assert plain.folded() == shuffled.folded()
    assert sum(amount for one in plain.folded() for _, amount in one.amounts) == sum(map(sum, weights))
    assert all(owed_by(entry).keys() == {CREATOR, HELPER} for entry in entries if entry.delta_micros < -1)


def test_windows_do_not_overlap() -> None:
    """Every commit belongs to exactly one window of its band."""
    chance = chance_of(3)
    for _ in range(200):
        at = datetime.fromtimestamp(chance.uniform(0, 4e9)).astimezone()
        window = window_of(2, at)
        assert window.starts_at <= at < window.ends_at
        assert window_of(2, window.ends_at) == Window(window.start_s + WINDOW_S, 2)


@pytest.mark.stack
async def test_firestore_settles_as_memory_does(firestore_ledger: LedgerAt) -> None:
    """On the emulator's own clock: what is closed is settled, what is not is counted as pending."""
    clock = Ticker()
    await opened(firestore_ledger.store, paid=1_000, accounts=(ADA, BEN))
    engine = engine_on(firestore_ledger.store)
    for number in range(6):
        await engine.run(sold(31, f"sale {number}", by=(ADA, BEN)[number % 2]))
    settlement = settlement_of(firestore_ledger, clock)
    pending = await count_unsettled(firestore_ledger.windows, await firestore_ledger.windows.horizons())
    for buyer, seq in ((ADA, 3), (ADA, 4), (BEN, 3)):
        # The emulator's clock cannot be moved; commits can be made older.
        await rewrite(firestore_ledger, buyer, seq, committed_at=datetime.fromtimestamp(NOW / 1000 - DAY).astimezone())

    report = await settlement.run()

    assert pending.micros == -2_000 + 6 * 31
    assert report.entries == 3
    assert (
        await count_unsettled(firestore_ledger.windows, await firestore_ledger.windows.horizons())
    ).micros == -2_000 + 3 * 31
    entries = [e async for _, e in firestore_ledger.archive.entry_documents(CREATOR)]
    assert {entry["kind"] for entry in entries} == {EntryKind.OPEN.value, EntryKind.SETTLE.value}
    assert (await settlement.run()).windows == 0
    sound = await assert_sound(firestore_ledger)
    assert sound.balance_micros + sound.unsettled_micros == 0
