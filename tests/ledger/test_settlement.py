"""Settlement: what closed windows owe is posted once, to the micro, whatever dies on the way."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.base.ids import AccountId
from shared.base.merkle import EMPTY_ROOT, root_of
from shared.ledger.documents import BANDS, band_of
from shared.ledger.errors import ChainBroken, KeyReused
from shared.ledger.models import HOUSE_CLEARING, EntryKind, Origin, Share
from shared.ledger.settlement import PAYEES_AT_ONCE, WINDOWS_MAX, Settlement
from shared.ledger.settling import WINDOW_S, Fold, Window, owed_by, sale_leaf, settle_id, window_of
from shared.ledger.store import StoreUnavailable
from shared.ledger.unsettled import count_unsettled
from shared.ledger.windows import horizon_from
from tests.ledger.builders import ADA, BEN, DAY, NOW, Ticker, balance, chance_of, engine_on, opened
from tests.ledger.settling import (
    CLOSED_MS,
    CREATOR,
    HELPER,
    LAST,
    Dying,
    assert_sound,
    busy,
    checked,
    sales_in,
    settlement_of,
    sold,
)
from tests.ledger.tampering import LedgerAt, in_memory, rewrite


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


@pytest.mark.parametrize("fields", [None, {}, {"settled_until": "soon"}, {"settled_until": 5}])
def test_a_horizon_that_is_no_moment_is_told(fields: dict[str, Any] | None) -> None:
    """It is neither taken for one nor for that of a band which was never settled."""
    with pytest.raises(ChainBroken, match="band:2"):
        horizon_from("band:2", fields)


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
