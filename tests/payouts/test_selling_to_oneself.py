"""Somebody who sells to themselves, by the split of a charge that selling to others will use: what can leave."""

import pytest

from shared.base.economy import DAY_MS, PACKS, Pack
from shared.ledger.models import HOUSE_PAYMENTS, HOUSE_REVENUE, Origin, Share
from shared.ledger.reversals import Reversals
from shared.payouts import rules
from shared.payouts.errors import PayoutRefused
from tests.ledger.builders import engine_on
from tests.payouts.bench import BUYER, EARN, WALLET, PayoutBench

PRICE = 3_000_000_000
SHARES = (Share(HOUSE_REVENUE, 1), Share(EARN, 9))


@pytest.fixture
async def bench() -> PayoutBench:
    made = PayoutBench()
    await made.open()
    await made.onboard()
    return made


async def bonus(bench: PayoutBench, micros: int = PRICE, key: str = "bonus") -> None:
    ledger = bench.process().ledger
    await ledger.grant_promo(WALLET, micros, lifetime_ms=90 * DAY_MS, key=key, facts={})


async def test_gifts_that_buy_from_their_owner_are_never_paid_out(bench: PayoutBench) -> None:
    """From the own wallet, or sent to a friend who buys: their origin stays with them."""
    await bonus(bench)
    await bonus(bench, key="ads")
    ledger = bench.process().ledger
    await ledger.debit(WALLET, PRICE, key="own", facts={}, shares=SHARES)
    await ledger.transfer(WALLET, BUYER, PRICE, key="to a friend", facts={})
    await ledger.debit(BUYER, PRICE, key="friend", facts={}, shares=SHARES)
    await bench.settle()
    bench.clock.now_ms += 8 * DAY_MS

    for micros in (rules.cost_micros(rules.AMOUNT_MINOR_MIN), PRICE):
        with pytest.raises(PayoutRefused, match="not_earned"):
            await bench.ask(micros, key=str(micros))

    assert {lot.origin for lot in (await ledger.head(EARN)).lots} == {Origin.PROMO}
    assert bench.transfers() == []


async def test_of_a_mixed_purchase_the_paid_part_alone_can_leave(bench: PayoutBench) -> None:
    await bonus(bench)
    ledger = bench.process().ledger
    await ledger.grant_paid(WALLET, PRICE, key="bought", facts={})
    await ledger.debit(WALLET, 2 * PRICE, key="own", facts={}, shares=SHARES)
    await bench.settle()
    paid_micros = sum(lot.remaining_micros for lot in (await ledger.head(EARN)).lots if lot.origin is Origin.PAID)
    assert paid_micros <= PRICE

    with pytest.raises(PayoutRefused, match="not_earned"):
        await bench.ask(paid_micros + rules.cost_micros(1), key="more")

    assert (await bench.ask(paid_micros, key="all")).micros <= paid_micros


@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: pack.pack_id)
def test_who_buys_from_themselves_gets_back_less_than_they_paid(pack: Pack) -> None:
    """Even where nobody takes a share. What a pack has on top is promotional, and never leaves."""
    assert rules.worth_minor(pack.credits_micros) < pack.prices_minor["USD"]


async def test_a_refund_after_buying_from_oneself_leaves_a_debt_that_keeps_the_payout(bench: PayoutBench) -> None:
    ledger = bench.process().ledger
    await ledger.grant_paid(WALLET, PRICE, key="bought", facts={})
    await ledger.debit(WALLET, PRICE, key="own", facts={}, shares=SHARES)
    await bench.settle()
    payout = await bench.ask()
    await bench.approve(payout)
    reversals = Reversals(engine_on(bench.ledger_store), bench.clock)
    await reversals.take_back(WALLET, PRICE, 0, payee=HOUSE_PAYMENTS, key="dispute lost", facts={})
    bench.clock.now_ms += 8 * DAY_MS

    assert (await bench.advance(payout)).waits_for == "negative_balance"
    with pytest.raises(PayoutRefused, match="negative_balance"):
        await bench.ask(key="two")
    assert bench.transfers() == []
