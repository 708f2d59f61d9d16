"""What puts right what was posted: each undoes exactly what it names, once, and the books still sum to zero."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.base.clock import Clock
from shared.base.ids import EntryId
from shared.ledger.administration import Administration
from shared.ledger.errors import AmountWrong, EntryAbsent, HoldsOpen, NothingExpired, NotReversible, PayeeNotDeferred
from shared.ledger.memory import MemoryLedgerStore
from shared.ledger.models import (
    HOUSE_BREAKAGE,
    HOUSE_DISPUTES,
    HOUSE_PROMOTIONS,
    HOUSE_REVENUE,
    Entry,
    Leg,
    Lot,
    Origin,
)
from shared.ledger.operation import Operation
from tests.ledger.builders import (
    ADA,
    BEN,
    DAY,
    NOW,
    Ticker,
    balance,
    capture,
    debit,
    engine_on,
    grant,
    opened,
    place,
    transfer,
)
from tests.ledger.tampering import assert_whole

WHY = {"reason": "because"}


def administration_of(store: MemoryLedgerStore, clock: Clock) -> Administration:
    return Administration(engine_on(store), store, clock)


async def lots_of(store: MemoryLedgerStore) -> list[Lot]:
    head = (await store.read([ADA], ())).heads[ADA].head
    assert head is not None
    return list(head.lots)


async def posted(store: MemoryLedgerStore, *operations: Operation[Any]) -> Entry:
    """Run the operations; the last one's entry."""
    engine = engine_on(store)
    outcomes = [await engine.run(operation) for operation in operations]
    entry: Entry = outcomes[-1].entry
    return entry


async def test_a_refund_gives_back_to_the_lots_and_takes_from_the_payees(memory: MemoryLedgerStore) -> None:
    """As if the charge had never been, but for two entries that say so; the usage is undone too."""
    await opened(memory, paid=100)
    charged = await posted(memory, grant(50, "promo", promo_until=NOW + DAY), debit(70))

    refund = await administration_of(memory, Ticker()).refund(ADA, charged.entry_id, facts=WHY)

    assert await lots_of(memory) == [Lot(Origin.PROMO, NOW + DAY, 50), Lot(Origin.PAID, None, 100)]
    assert refund.entry.legs == (Leg(HOUSE_REVENUE, Origin.PROMO, -50), Leg(HOUSE_REVENUE, Origin.PAID, -20))
    assert dict(refund.entry.facts) == {**WHY, "reverses": charged.entry_id}
    head = (await memory.read([ADA], ())).heads[ADA].head
    assert head is not None
    assert head.spent_micros == 0
    await assert_whole(memory)


async def test_a_capture_is_refunded_like_a_debit(memory: MemoryLedgerStore) -> None:
    await opened(memory, paid=100)
    charged = await posted(memory, place(40), capture(30))

    await administration_of(memory, Ticker()).refund(ADA, charged.entry_id, facts=WHY)

    assert await balance(memory) == 100
    await assert_whole(memory)


async def test_a_charge_is_refunded_once(memory: MemoryLedgerStore) -> None:
    """The entry itself is the key, so two operators who act on one complaint refund it once."""
    await opened(memory, paid=100)
    charged = await posted(memory, debit(70))
    first = await administration_of(memory, Ticker()).refund(ADA, charged.entry_id, facts=WHY)
    second = await administration_of(memory, Ticker(NOW + DAY)).refund(ADA, charged.entry_id, facts=WHY)

    assert second.repeated
    assert second.entry == first.entry
    assert await balance(memory) == 100


async def test_only_what_can_be_undone_is(memory: MemoryLedgerStore) -> None:
    """A transfer has another side, a refund is undone by charging again, and a grant is revoked, not refunded."""
    await opened(memory, paid=100, accounts=(ADA, BEN))
    office = administration_of(memory, Ticker())
    moved, given = await posted(memory, transfer(5)), await posted(memory, grant(5, "more"))
    charged = await posted(memory, debit(1))
    refunded = await office.refund(ADA, charged.entry_id, facts=WHY)

    for entry in (moved, given, refunded.entry):
        with pytest.raises(NotReversible):
            await office.refund(ADA, entry.entry_id, facts=WHY)
    for entry in (moved, charged, refunded.entry):
        with pytest.raises(NotReversible):
            await office.revoke(ADA, entry.entry_id, facts=WHY)
    for account_id, entry_id in ((ADA, EntryId("0" * 64)), (BEN, charged.entry_id)):
        with pytest.raises(EntryAbsent):
            await office.refund(account_id, entry_id, facts=WHY)


@pytest.mark.parametrize(("spent", "left"), [(0, 0), (70, -70), (100, -100)])
async def test_a_revoked_purchase_that_was_spent_is_owed(memory: MemoryLedgerStore, spent: int, left: int) -> None:
    """Honest below zero: hiding the debt would make credits from nothing."""
    await opened(memory)
    bought = await posted(memory, grant(100, "bought"))
    if spent:
        await posted(memory, debit(spent))

    revoked = await administration_of(memory, Ticker()).revoke(ADA, bought.entry_id, facts=WHY)

    assert await balance(memory) == left
    assert revoked.entry.legs == (Leg(HOUSE_PROMOTIONS, Origin.PAID, 100),)
    await assert_whole(memory)


async def test_a_revoked_bonus_takes_what_is_left_of_it(memory: MemoryLedgerStore) -> None:
    """A gift that was used is not owed, and paid credits never make up for it."""
    await opened(memory, paid=100)
    bonus = await posted(memory, grant(50, "bonus", promo_until=NOW + DAY))
    await posted(memory, debit(30))

    await administration_of(memory, Ticker()).revoke(ADA, bonus.entry_id, facts=WHY)

    assert await lots_of(memory) == [Lot(Origin.PAID, None, 100)]
    await assert_whole(memory)


@given(paid=st.integers(0, 200), promo=st.integers(0, 200), taken=st.integers(1, 400))
async def test_a_clawback_takes_paid_credits_and_then_owes(paid: int, promo: int, taken: int) -> None:
    """Promotional credits are not touched: nobody paid for them, so nobody can dispute them."""
    store = MemoryLedgerStore()
    await opened(store, paid=paid)
    if promo:
        await posted(store, grant(promo, "promo", promo_until=NOW + DAY))

    entry = (await administration_of(store, Ticker()).claw_back(ADA, taken, key="dispute", facts=WHY)).entry

    assert await balance(store) == paid + promo - taken
    assert entry.legs == (Leg(HOUSE_DISPUTES, Origin.PAID, taken),)
    assert sum(lot.remaining_micros for lot in await lots_of(store) if lot.origin is Origin.PROMO) == promo
    await assert_whole(store)


async def test_credits_that_come_in_pay_the_debt_first(memory: MemoryLedgerStore) -> None:
    """And what is owed cannot be spent, promotional credits or not."""
    await opened(memory, paid=10)
    office = administration_of(memory, Ticker())
    await office.claw_back(ADA, 60, key="dispute", facts=WHY)
    await posted(memory, grant(30, "promo", promo_until=NOW + DAY), grant(40, "bought"))

    head = (await memory.read([ADA], ())).heads[ADA].head

    assert head is not None
    assert head.balance_micros == 20
    assert [lot.remaining_micros for lot in head.lots] == [30, -10]
    with pytest.raises(Exception, match=r"0\.00002 can be spent"):
        await posted(memory, debit(21))
    assert (await posted(memory, debit(20))).balance_micros == 0
    await assert_whole(memory)


async def test_a_call_in_flight_is_charged_although_its_credits_were_clawed_back(memory: MemoryLedgerStore) -> None:
    """The provider has delivered; the account owes."""
    await opened(memory, paid=100)
    await engine_on(memory).run(place(80))
    await administration_of(memory, Ticker()).claw_back(ADA, 90, key="dispute", facts=WHY)

    assert (await posted(memory, capture(80))).balance_micros == -70
    await assert_whole(memory)


async def test_a_clawback_goes_where_settlement_reaches(memory: MemoryLedgerStore) -> None:
    await opened(memory, paid=10, accounts=(ADA, BEN))
    office = administration_of(memory, Ticker())

    with pytest.raises(PayeeNotDeferred):
        await office.claw_back(ADA, 5, key="k", facts=WHY, payee=BEN)
    with pytest.raises(AmountWrong):
        await office.claw_back(ADA, 0, key="k", facts=WHY)


async def test_what_expired_becomes_breakage_and_nothing_else_does(memory: MemoryLedgerStore) -> None:
    await opened(memory, paid=100)
    for at, amount in ((NOW + 1, 10), (NOW + 2, 20), (NOW + DAY, 40)):
        await posted(memory, grant(amount, f"until {at}", promo_until=at))

    swept = await administration_of(memory, Ticker(NOW + 10)).expire(ADA, NOW + 2)

    assert swept.entry.legs == (Leg(HOUSE_BREAKAGE, Origin.PROMO, 30),)
    assert await balance(memory) == 140
    assert (await administration_of(memory, Ticker(NOW + 20)).expire(ADA, NOW + 2)).repeated
    await assert_whole(memory)


async def test_nothing_is_swept_before_its_time(memory: MemoryLedgerStore) -> None:
    """A clock that runs behind sweeps nothing, whatever it is asked."""
    await opened(memory, paid=100)
    await posted(memory, grant(10, "promo", promo_until=NOW + 100))

    with pytest.raises(NothingExpired):
        await administration_of(memory, Ticker(NOW + 99)).expire(ADA, NOW + 100)


async def test_a_call_may_still_use_what_expired_while_it_ran(memory: MemoryLedgerStore) -> None:
    """Sweeping waits for holds that were placed while the credits were alive."""
    await opened(memory)
    await posted(memory, grant(10, "promo", promo_until=NOW + 100))
    await engine_on(memory).run(place(10, lifetime_ms=1_000))
    office = administration_of(memory, Ticker(NOW + 200))

    with pytest.raises(HoldsOpen):
        await office.expire(ADA, NOW + 100)
    assert (await posted(memory, capture(4, at_ms=NOW + 300))).balance_micros == 6
    assert (await office.expire(ADA, NOW + 100)).entry.balance_micros == 0
    await assert_whole(memory)
