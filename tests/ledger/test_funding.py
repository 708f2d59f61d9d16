"""Topping up and taking back decide by the heads they are committed on: never too much, once, each lot as it was."""

import asyncio
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.base.ids import AccountId
from shared.base.periods import Period, period_end_ms
from shared.ledger import rules
from shared.ledger.errors import AccountNotOpen, AlreadyFilled, CreditTooLow, NothingToMove
from shared.ledger.funds import Funds
from shared.ledger.memory import MemoryLedgerStore
from shared.ledger.models import Head, Lot, Origin
from tests.ledger.builders import (
    ADA,
    DAY,
    NOW,
    FaultyStore,
    Ticker,
    amounts,
    balance,
    capture,
    debit,
    engine_on,
    entries_of,
    grant,
    lot_tuples,
    opened,
    place,
)
from tests.ledger.tampering import assert_whole

CARD = AccountId("card:ada")
WHY = {"reason": "because"}


class Bench:
    """A wallet with 100 paid micros, an empty card, and the verbs over them."""

    def __init__(self) -> None:
        self.memory = MemoryLedgerStore()
        self.store = FaultyStore(self.memory)
        self.clock = Ticker()
        self.engine = engine_on(self.store)
        self.funds = Funds(self.engine, self.clock)

    async def top_up(self, to_micros: int, period: Period = Period.MONTH) -> int:
        return await self.funds.top_up(CARD, ADA, to_micros=to_micros, period=period, facts=WHY)

    async def lots(self, account_id: AccountId) -> tuple[Lot, ...]:
        head = (await self.memory.read([account_id], ())).heads[account_id].head
        assert head is not None
        return head.lots


@pytest.fixture
async def bench() -> Bench:
    made = Bench()
    await opened(made.memory, paid=100)
    await made.funds.open(CARD, None)
    return made


async def test_a_card_is_filled_once_in_a_period_and_again_in_the_next(bench: Bench) -> None:
    """By as much as is missing; credits that are still there are not doubled."""
    assert await bench.top_up(30) == 30
    await bench.engine.run(debit(25, by=CARD))
    assert await bench.top_up(30) == 30
    assert await balance(bench.memory, CARD) == 5

    month_end_ms = period_end_ms(Period.MONTH, NOW)
    assert month_end_ms is not None
    bench.clock.now_ms = month_end_ms - 1
    await bench.top_up(30)
    assert await balance(bench.memory, CARD) == 5
    bench.clock.now_ms = month_end_ms
    assert await bench.top_up(30) == 25
    assert await balance(bench.memory, CARD) == 30
    await assert_whole(bench.memory)


async def test_a_card_that_has_enough_has_had_its_refill(bench: Bench) -> None:
    """No entry is posted for nothing; the note on the head keeps a later use in the period from being the first."""
    await bench.engine.run(grant(50, "own", to=CARD))

    assert await bench.top_up(30) == 0
    await bench.engine.run(debit(45, by=CARD))
    with pytest.raises(AlreadyFilled):
        await bench.top_up(30)
    assert [entry["kind"] for entry in entries_of(bench.memory, CARD)] == ["open", "grant", "debit"]


async def test_a_poor_wallet_gives_what_it_has(bench: Bench) -> None:
    """And that was this period's refill; one with nothing may be asked again."""
    await bench.engine.run(debit(100, "gone"))
    with pytest.raises(CreditTooLow):
        await bench.top_up(30)

    await bench.engine.run(grant(10, "bought"))
    assert await bench.top_up(30) == 10
    await bench.engine.run(grant(90, "more"))
    assert await bench.top_up(30) == 10
    assert await balance(bench.memory, CARD) == 10


async def test_what_the_wallet_holds_for_its_own_calls_is_not_given(bench: Bench) -> None:
    await bench.engine.run(place(95))

    assert await bench.top_up(30) == 5


@pytest.mark.parametrize("faults", [["unacknowledged"], ["lost"], ["lost", "unacknowledged"], ["late", "overtaken"]])
async def test_a_lost_answer_fills_no_card_twice(bench: Bench, faults: list[str]) -> None:
    bench.store.commit_script = deque(faults)

    await bench.top_up(30)

    assert (await balance(bench.memory), await balance(bench.memory, CARD)) == (70, 30)
    await assert_whole(bench.memory)


async def test_of_many_first_uses_at_once_one_fills(bench: Bench) -> None:
    """From several processes."""
    others = [Funds(engine_on(bench.memory, seed), bench.clock) for seed in range(4)]

    await asyncio.gather(
        *(funds.top_up(CARD, ADA, to_micros=30, period=Period.DAY, facts=WHY) for funds in others for _ in range(5))
    )

    assert (await balance(bench.memory), await balance(bench.memory, CARD)) == (70, 30)


async def test_a_withdrawal_leaves_what_is_held(bench: Bench) -> None:
    """In the credits that the call would spend first: promotional ones stay for it."""
    await bench.engine.run(grant(20, "promo", to=CARD, promo_until=NOW + DAY))
    await bench.engine.run(grant(30, "paid", to=CARD))
    await bench.engine.run(place(25, by=CARD))

    moved = await bench.funds.withdraw(CARD, ADA, key="one", facts=WHY)

    assert moved.entry.delta_micros == -25
    assert await bench.lots(CARD) == (Lot(Origin.PROMO, NOW + DAY, 20), Lot(Origin.PAID, None, 5))
    with pytest.raises(NothingToMove):
        await bench.funds.withdraw(CARD, ADA, key="two", facts=WHY)
    await bench.engine.run(capture(25, by=CARD))
    await assert_whole(bench.memory)


async def test_a_withdrawal_is_no_way_around_a_freeze(bench: Bench) -> None:
    """An operator's, on the account itself."""
    await bench.top_up(30)
    bench.memory.heads[CARD]["status"] = "frozen"

    with pytest.raises(AccountNotOpen):
        await Funds(engine_on(bench.memory), bench.clock).withdraw(CARD, ADA, key="one", facts=WHY)


@given(lot_tuples(), st.data())
def test_taking_all_but_some_leaves_just_that(lots: tuple[Lot, ...], data: st.DataObject) -> None:
    """And what is left is what would be spent first."""
    usable = rules.usable_micros(lots, NOW)
    kept = data.draw(st.integers(0, usable))

    changes = rules.all_but(lots, kept, valid_at_ms=NOW)
    after = rules.apply_changes(lots, changes)

    assert -sum(change.delta_micros for change in changes) == usable - kept
    assert rules.usable_micros(after, NOW) == kept
    if kept:
        assert rules.consume(after, kept, valid_at_ms=NOW) == rules.consume(lots, kept, valid_at_ms=NOW)


@given(amounts, amounts)
def test_a_debt_is_not_taken_for_free_credits(owed: int, promo: int) -> None:
    lots = (Lot(Origin.PROMO, NOW + DAY, promo), Lot(Origin.PAID, None, -owed))

    assert rules.free_micros(Head(CARD, lots=lots), NOW) == max(0, promo - owed)
