"""Paid credits taken off an earner's account: exactly those, and the books balance before and after settlement."""

import pytest

from shared.base.ids import AccountId
from shared.ledger.audit import Audit
from shared.ledger.errors import AccountNotOpen, CreditTooLow
from shared.ledger.models import Origin
from shared.ledger.payable import TakePaid
from shared.ledger.reversals import Reversals
from shared.ledger.standing import Freeze
from tests.ledger.builders import Ticker, balance, engine_on
from tests.ledger.settling import CLOSED_MS, CREATOR, assert_sound, busy, settlement_of
from tests.ledger.tampering import LedgerAt

PAYOUTS = AccountId("house:payouts")


def taking(amount: int, at_ms: int, key: str = "payout") -> TakePaid:
    return TakePaid(account_id=CREATOR, payee=PAYOUTS, amount_micros=amount, key=key, facts=(), at_ms=at_ms)


async def earned(clock: Ticker) -> tuple[LedgerAt, dict[Origin, int]]:
    """A ledger whose creator has earned of both origins, and how much of each is settled."""
    ledger = await busy(clock)
    clock.now_ms += CLOSED_MS
    await settlement_of(ledger, clock).run()
    return ledger, await of_each_origin(ledger)


async def of_each_origin(ledger: LedgerAt) -> dict[Origin, int]:
    known = (await ledger.store.read([CREATOR], ())).heads[CREATOR]
    assert known is not None
    head = known.head
    return {origin: sum(lot.remaining_micros for lot in head.lots if lot.origin is origin) for origin in Origin}


async def test_exactly_the_paid_credits_go_and_the_promotional_ones_stay() -> None:
    clock = Ticker()
    ledger, before = await earned(clock)
    assert min(before.values()) > 1

    await engine_on(ledger.store).run(taking(before[Origin.PAID] - 1, clock()))

    assert await of_each_origin(ledger) == {Origin.PAID: 1, Origin.PROMO: before[Origin.PROMO]}


async def test_what_promotional_credits_would_have_to_cover_is_not_taken() -> None:
    """There is enough on the account, and not enough of it was paid for."""
    clock = Ticker()
    ledger, before = await earned(clock)

    with pytest.raises(CreditTooLow):
        await engine_on(ledger.store).run(taking(before[Origin.PAID] + 1, clock()))

    assert await of_each_origin(ledger) == before


async def test_a_frozen_earner_is_paid_nothing() -> None:
    clock = Ticker()
    ledger, before = await earned(clock)
    engine = engine_on(ledger.store)
    await engine.run(Freeze(account_id=CREATOR, key="freeze", facts=(), at_ms=clock()))

    with pytest.raises(AccountNotOpen):
        await engine.run(taking(1, clock()))

    assert await of_each_origin(ledger) == before


async def test_the_books_balance_with_a_payout_under_way_settled_and_returned() -> None:
    clock = Ticker()
    ledger, before = await earned(clock)
    engine = engine_on(ledger.store)
    await engine.run(taking(before[Origin.PAID], clock()))
    await assert_sound(ledger)

    clock.now_ms += CLOSED_MS
    await settlement_of(ledger, clock).run()
    assert await balance(ledger.store, PAYOUTS) == before[Origin.PAID]
    assert await balance(ledger.store, CREATOR) == before[Origin.PROMO]
    await assert_sound(ledger)

    returned = Reversals(engine, clock)
    for _ in range(2):
        await returned.give_back(CREATOR, before[Origin.PAID], source=PAYOUTS, key="back", facts={})
    clock.now_ms += CLOSED_MS
    await settlement_of(ledger, clock).run()

    assert (await balance(ledger.store, PAYOUTS), await of_each_origin(ledger)) == (0, before)
    sound = await assert_sound(ledger)
    assert sound.balance_micros == sound.unsettled_micros == 0
    audited = await Audit(ledger.archive, ledger.marks, clock).run_full()
    assert audited.broken == ()
