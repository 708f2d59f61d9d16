"""Payouts over stores in memory and Stripe's stand-in: asked for, let go, sent, paid, and by whom not."""

import asyncio

import pytest

from shared.base.economy import DAY_MS
from shared.ledger.errors import KeyReused
from shared.payouts import rules
from shared.payouts.errors import PayoutAbsent, PayoutRefused
from shared.payouts.models import HOUSE_PAYOUTS, Payout, PayoutState
from tests.payouts.bench import (
    ADA,
    AMOUNT_MINOR,
    BEN,
    EARNED,
    PLATFORM_MINOR,
    TAKEN,
    PayoutBench,
    ready,
)


@pytest.fixture
async def bench() -> PayoutBench:
    return await ready()


async def test_earnings_are_set_aside_reviewed_held_sent_and_paid(bench: PayoutBench) -> None:
    sent = await bench.on_its_way()
    assert (sent.state, sent.amount_minor, await bench.balance()) == (PayoutState.TRANSFERRING, 1_400, EARNED - TAKEN)
    assert (bench.left_minor(), bench.left_minor(sent.destination)) == (PLATFORM_MINOR - AMOUNT_MINOR, 0)

    bench.stripe.bank.arrive(sent.arrival_id or "")
    paid = await bench.advance(sent)

    assert (paid.state, len(bench.transfers()), await bench.balance()) == (PayoutState.PAID, 1, EARNED - TAKEN)
    await bench.check_books()


async def test_the_webhook_alone_brings_it_to_paid(bench: PayoutBench) -> None:
    sent = await bench.on_its_way()
    await bench.receive_events()
    await bench.work()
    assert bench.kept(sent).state is PayoutState.TRANSFERRING

    bench.stripe.bank.arrive(sent.arrival_id or "")
    await bench.receive_events()
    await bench.work()

    assert bench.kept(sent).state is PayoutState.PAID


async def test_the_timer_alone_brings_it_to_paid(bench: PayoutBench) -> None:
    payout = await bench.ask()
    await bench.approve(payout)
    await bench.pass_days(8)
    assert bench.kept(payout).state is PayoutState.TRANSFERRING

    bench.stripe.bank.arrive(bench.kept(payout).arrival_id or "")
    await bench.pass_days(1)

    assert bench.kept(payout).state is PayoutState.PAID
    await bench.pass_days(12)
    assert bench.store.due_ms[payout.payout_id] is None


async def test_earnings_leave_a_week_after_they_came_in_and_not_before(bench: PayoutBench) -> None:
    payout = await bench.ask()
    await bench.approve(payout)

    bench.clock.now_ms = payout.asked_at_ms + rules.HOLD_MS - 1
    assert (await bench.advance(payout)).waits_for == "hold"
    bench.clock.now_ms += 1

    assert (await bench.advance(payout)).state is PayoutState.TRANSFERRING


async def test_earnings_that_are_old_enough_wait_no_longer(bench: PayoutBench) -> None:
    bench.clock.now_ms += 8 * DAY_MS
    payout = await bench.ask()
    await bench.approve(payout)

    assert (await bench.advance(payout)).state is PayoutState.TRANSFERRING


async def test_two_who_ask_for_old_and_young_earnings_at_once_get_no_young_ones_early(bench: PayoutBench) -> None:
    bench.clock.now_ms += 8 * DAY_MS
    await bench.sell()

    first, second = await asyncio.gather(bench.ask(EARNED, "one"), bench.ask(EARNED, "two"))
    for payout in (first, second):
        await bench.approve(payout)
    done = [await bench.advance(payout) for payout in (first, second)]

    assert sum(one.amount_minor for one in done if one.state is not PayoutState.HELD) <= rules.worth_minor(EARNED)
    assert "hold" in {one.waits_for for one in done}


async def test_taking_a_payout_back_makes_no_young_earnings_old(bench: PayoutBench) -> None:
    first = await bench.ask()
    await bench.process().decisions.cancel(ADA, first.payout_id)
    await bench.work()
    assert (bench.kept(first).state, await bench.balance()) == (PayoutState.REFUSED, EARNED)

    second = await bench.ask(key="two")

    assert second.hold_until_ms == second.asked_at_ms + rules.HOLD_MS


async def test_two_requests_at_once_never_take_more_than_was_earned(bench: PayoutBench) -> None:
    done = await asyncio.gather(*(bench.ask(key=key) for key in ("one", "two", "one")), return_exceptions=True)

    held = {one.payout_id for one in done if isinstance(one, Payout)}
    assert len(held) == 1
    assert await bench.balance() == EARNED - TAKEN
    assert {one.state for one in bench.store.kept.values()} == {PayoutState.HELD, PayoutState.REFUSED}


async def test_a_request_replayed_with_another_amount_is_refused(bench: PayoutBench) -> None:
    first = await bench.ask()

    with pytest.raises(KeyReused):
        await bench.ask(EARNED)

    assert await bench.ask() == first
    assert (len(bench.store.kept), await bench.balance()) == (1, EARNED - TAKEN)


@pytest.mark.parametrize("micros", [1, rules.cost_micros(rules.AMOUNT_MINOR_MIN) - 1])
async def test_less_than_the_minimum_is_refused(bench: PayoutBench, micros: int) -> None:
    with pytest.raises(PayoutRefused, match="below_minimum"):
        await bench.ask(micros)


async def test_nobody_is_paid_whom_the_provider_does_not_know() -> None:
    bench = PayoutBench()
    await bench.open()
    await bench.sell()

    with pytest.raises(PayoutRefused, match="not_onboarded"):
        await bench.ask()


async def test_a_first_payout_waits_for_a_person_who_may_refuse_it(bench: PayoutBench) -> None:
    payout = await bench.ask()
    bench.clock.now_ms += 8 * DAY_MS
    assert (await bench.advance(payout)).waits_for == "review"
    assert list(await bench.store.waiting(after=None)) == [bench.kept(payout)]

    for _ in range(2):
        await bench.process().decisions.refuse(payout.payout_id, operator="olga", reason="sells to herself")
        await bench.work(again=lambda url: True)

    refused = bench.kept(payout)
    assert (refused.state, refused.reason) == (PayoutState.REFUSED, "olga: sells to herself")
    assert await bench.store.waiting(after=None) == []
    assert (await bench.balance(), bench.transfers()) == (EARNED, [])
    with pytest.raises(PayoutRefused, match="refused_before"):
        await bench.approve(payout)
    await bench.check_books()


async def test_a_second_payout_needs_no_person_and_one_after_a_failure_does(bench: PayoutBench) -> None:
    paid = await bench.paid()
    await bench.sell()
    assert not (await bench.ask(key="two")).is_first

    bench.stripe.bank.fail(paid.arrival_id or "")
    await bench.advance(paid)
    await bench.sell()

    assert (await bench.ask(key="three")).is_first


async def test_nobody_takes_back_another_ones_payout_or_one_that_was_sent(bench: PayoutBench) -> None:
    payout = await bench.ask()
    with pytest.raises(PayoutAbsent):
        await bench.process().decisions.cancel(BEN, payout.payout_id)

    await bench.approve(payout)
    bench.clock.now_ms += 8 * DAY_MS
    await bench.advance(payout)

    with pytest.raises(PayoutRefused, match="not_held"):
        await bench.process().decisions.cancel(ADA, payout.payout_id)
    with pytest.raises(PayoutRefused, match="not_held"):
        await bench.process().decisions.refuse(payout.payout_id, operator="olga", reason="too late")


async def test_who_takes_back_and_who_sends_at_the_same_moment_exclude_each_other() -> None:
    for _ in range(5):
        bench = await ready()
        payout = await bench.ask()
        await bench.approve(payout)
        bench.clock.now_ms += 8 * DAY_MS
        cancelling = bench.process().decisions.cancel(ADA, payout.payout_id)
        await asyncio.gather(bench.advance(payout), cancelling, bench.advance(payout), return_exceptions=True)
        await bench.work(again=lambda url: True)

        is_sent = bool(bench.transfers())
        assert await bench.balance() == (EARNED - TAKEN if is_sent else EARNED)


async def test_two_deliveries_of_one_task_at_once_send_once(bench: PayoutBench) -> None:
    payout = await bench.ask()
    await bench.approve(payout)
    bench.clock.now_ms += 8 * DAY_MS

    await asyncio.gather(*(bench.advance(payout) for _ in range(5)), return_exceptions=True)
    await bench.advance(payout)

    assert (len(bench.transfers()), bench.left_minor()) == (1, PLATFORM_MINOR - AMOUNT_MINOR)


async def test_what_promotional_credits_earned_is_never_paid_out() -> None:
    bench = PayoutBench()
    await bench.open()
    await bench.onboard()
    await bench.sell(promo=True)

    with pytest.raises(PayoutRefused, match="not_earned"):
        await bench.ask()

    assert (await bench.balance(), HOUSE_PAYOUTS in bench.ledger_store.heads) == (EARNED, False)
