"""The process dies before or after any call of a store, the queue or the provider, and others try again."""

import asyncio
import contextlib

import pytest

from shared.base.economy import DAY_MS
from shared.payouts import rules
from shared.payouts.errors import PayoutRefused
from shared.payouts.models import Payout, PayoutState
from tests.images.jobs import Fate, Killed
from tests.payouts.bench import (
    ADA,
    AMOUNT_MINOR,
    ASKED,
    EARNED,
    PLATFORM_MINOR,
    TAKEN,
    PayoutBench,
    ready,
)

STEPS_MAX = 300


async def pay(bench: PayoutBench, fate: Fate | None) -> None:
    """Asked, approved, held, sent and arrived."""
    payout = await bench.process(fate).payouts.request(ADA, ASKED, key="one")
    await bench.process(fate).decisions.approve(payout.payout_id, operator="olga", reason="known to us")
    bench.clock.now_ms = max(bench.clock.now_ms, payout.asked_at_ms + rules.HOLD_MS)
    sent = await bench.process(fate).sending.advance(payout.payout_id)
    if sent.state is PayoutState.TRANSFERRING:
        _arrive(bench, sent)
        await bench.process(fate).sending.advance(payout.payout_id)


async def take_back(bench: PayoutBench, fate: Fate | None) -> None:
    """Asked and taken back."""
    payout = await bench.process(fate).payouts.request(ADA, ASKED, key="one")
    await bench.process(fate).decisions.cancel(ADA, payout.payout_id)
    await bench.process(fate).sending.advance(payout.payout_id)


async def bounce(bench: PayoutBench, fate: Fate | None) -> None:
    """Paid, sent back by the bank, refused by a person, fetched back."""
    await pay(bench, fate)
    [payout] = bench.store.kept.values()
    if payout.state is PayoutState.PAID and _status(bench, payout) == "paid":
        bench.stripe.bank.fail(payout.arrival_id or "")
    if payout.state not in rules.OVER:
        await bench.process(fate).sending.advance(payout.payout_id)
        bench.clock.now_ms += rules.QUIET_MS
        await bench.process(fate).decisions.refuse(payout.payout_id, operator="olga", reason="closed")
    await bench.process(fate).sending.advance(payout.payout_id)


def _arrive(bench: PayoutBench, payout: Payout) -> None:
    if _status(bench, payout) == "pending":
        bench.stripe.bank.arrive(payout.arrival_id or "")


def _status(bench: PayoutBench, payout: Payout) -> str:
    found = bench.stripe.handle("GET", f"/v1/payouts/{payout.arrival_id}", {}, owner=payout.destination)
    return str(found["status"])


ENDS = {
    pay: (PayoutState.PAID, EARNED - TAKEN, PLATFORM_MINOR - AMOUNT_MINOR),
    take_back: (PayoutState.REFUSED, EARNED, PLATFORM_MINOR),
    bounce: (PayoutState.REVERSED, EARNED, PLATFORM_MINOR),
}


@pytest.mark.parametrize("way", ENDS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("keys", ["kept", "forgotten"])
async def test_a_death_at_any_step_ends_where_no_death_would(way: object, keys: str) -> None:
    """Before and after each call of a store, of the queue and of the provider; whether or not it forgot its keys."""
    for dies_at in range(1, STEPS_MAX):
        bench, fate = await ready(), Fate(dies_at)
        try:
            await fate.live(way(bench, fate))  # type: ignore[operator]
            died = False
        except (Killed, asyncio.CancelledError):
            died = True
            if keys == "forgotten":
                bench.stripe.forget_keys()
            for _ in range(3):
                await _finish(bench, way)
        [payout] = bench.store.kept.values()
        state, balance, left_minor = ENDS[way]  # type: ignore[index]
        assert (payout.state, await bench.balance(), bench.left_minor()) == (state, balance, left_minor), dies_at
        assert len(bench.transfers()) == (0 if way is take_back else 1)
        assert await bench.balance() + _paid_out(payout) == EARNED
        if not died:
            await bench.check_books()
            return
    raise AssertionError(f"{STEPS_MAX} steps and no end")


async def _finish(bench: PayoutBench, way: object) -> None:
    """What client, operator, queue and timer do by themselves: try again."""
    # Whoever decides again is told that it is too late.
    with contextlib.suppress(PayoutRefused):
        await way(bench, None)  # type: ignore[operator]
    await bench.process().schedule.run()
    bench.clock.now_ms += DAY_MS
    await bench.work()


def _paid_out(payout: Payout) -> int:
    return 0 if payout.state in rules.OVER else payout.micros
