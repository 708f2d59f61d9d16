"""What a payee earned: pending until it is settled, never both, and each settlement with the sales that it folds."""

from contextlib import suppress

import pytest

from shared.base.ids import AccountId, EntryId
from shared.base.merkle import root_of
from shared.ledger.documents import band_of
from shared.ledger.earnings import Earnings
from shared.ledger.errors import EntryAbsent
from shared.ledger.settlement import Settlement
from shared.ledger.settling import WINDOW_S, Window, settle_id
from shared.ledger.store import StoreUnavailable
from tests.ledger.builders import ADA, BEN, NOW, Ticker, engine_on
from tests.ledger.settling import CLOSED_MS, CREATOR, Dying, MemorySales, busy, settlement_of, sold


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
