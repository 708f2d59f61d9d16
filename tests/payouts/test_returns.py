"""What comes back: refused by the provider, sent back by a bank, reversed, fetched back. Exact balances each time."""

import asyncio
import contextlib
from collections.abc import Awaitable

import pytest

from local.stripe.refusal import StripeRefusal
from shared.base.economy import DAY_MS
from shared.base.errors import CredenceError
from shared.payouts import rules
from shared.payouts.models import Payout, PayoutState
from tests.ledger.builders import chance_of
from tests.payouts.bench import (
    ADA,
    AMOUNT_MINOR,
    EARN,
    EARNED,
    PLATFORM_MINOR,
    TAKEN,
    PayoutBench,
    ready,
)


@pytest.fixture
async def bench() -> PayoutBench:
    return await ready()


async def test_the_provider_refuses_and_a_day_later_it_is_tried_again_and_paid_once(bench: PayoutBench) -> None:
    payout = await refused_by_the_provider(bench)
    assert (await bench.balance(), bench.transfers()) == (EARNED - TAKEN, [])

    bench.stripe.bank.top_up("usd", PLATFORM_MINOR)
    bench.stripe.forget_keys()
    assert (await bench.advance(payout)).waits_for == "hold"
    bench.clock.now_ms += DAY_MS
    again = await bench.advance(payout)

    assert (again.state, again.attempt, len(bench.transfers())) == (PayoutState.TRANSFERRING, 2, 1)


async def test_one_that_was_tried_too_often_is_tried_again_once_a_person_lets_it(bench: PayoutBench) -> None:
    payout = await refused_by_the_provider(bench)
    while (payout := await bench.advance(payout)).waits_for != rules.ATTEMPTS_USED:
        bench.clock.now_ms += DAY_MS
    bench.stripe.bank.top_up("usd", PLATFORM_MINOR)
    bench.stripe.forget_keys()

    for _ in range(2):
        await bench.process().decisions.approve(payout.payout_id, operator="olga", reason="the platform has money")
        await bench.work(again=lambda url: True)

    kept = bench.kept(payout)
    assert (kept.state, kept.attempt, len(bench.transfers())) == (PayoutState.TRANSFERRING, rules.ATTEMPTS_MAX + 1, 1)


async def test_after_the_provider_refused_a_person_may_and_the_credits_go_back_once(bench: PayoutBench) -> None:
    payout = await refused_by_the_provider(bench)
    refuse = bench.process().decisions.refuse
    await refuse(payout.payout_id, operator="olga", reason="the bank closed the account")
    await bench.work(again=lambda url: True)
    assert (bench.kept(payout).state, await bench.balance()) == (PayoutState.HELD, EARNED - TAKEN)

    bench.clock.now_ms += rules.QUIET_MS
    for _ in range(3):
        await refuse(payout.payout_id, operator="olga", reason="the bank closed the account")
        await bench.work(again=lambda url: True)

    assert (bench.kept(payout).state, await bench.balance(), bench.transfers()) == (PayoutState.REFUSED, EARNED, [])
    await bench.check_books()


async def test_a_late_transfer_of_a_refused_attempt_is_fetched_back_before_the_credits_are_given(
    bench: PayoutBench,
) -> None:
    payout = await refused_by_the_provider(bench)
    bench.stripe.bank.top_up("usd", PLATFORM_MINOR)
    await bench.process().sending._sender.send(payout)
    await bench.process().decisions.refuse(payout.payout_id, operator="olga", reason="enough")
    bench.clock.now_ms += rules.QUIET_MS
    await bench.work(again=lambda url: True)

    assert (bench.kept(payout).state, await bench.balance()) == (PayoutState.REVERSED, EARNED)
    assert bench.left_minor(payout.destination) == 0


async def refused_by_the_provider(bench: PayoutBench) -> Payout:
    """There is no money to send."""
    bench.stripe.bank.make({"amount": PLATFORM_MINOR, "currency": "usd"}, "")
    failed = await bench.on_its_way()
    assert (failed.state, failed.reason) == (PayoutState.FAILED, "balance_insufficient")
    return failed


async def test_a_bank_that_sends_it_back_after_it_was_paid_reopens_it(bench: PayoutBench) -> None:
    paid = await bench.paid()
    bench.stripe.bank.fail(paid.arrival_id or "")
    await bench.receive_events()
    await bench.work()
    failed = bench.kept(paid)
    assert (failed.reason, await bench.balance()) == ("account_closed", EARNED - TAKEN)
    assert bench.left_minor(paid.destination) == AMOUNT_MINOR

    bench.stripe.connect.change_bank(paid.destination)
    await bench.pass_days(5)
    again = bench.kept(paid)
    bench.stripe.bank.arrive(again.arrival_id or "")
    done = await bench.advance(again)

    assert (done.state, done.attempt, len(bench.transfers())) == (PayoutState.PAID, 2, 1)
    assert (bench.left_minor(paid.destination), await bench.balance()) == (0, EARNED - TAKEN)
    await bench.check_books()


async def test_what_a_bank_sent_back_may_be_refused_and_is_fetched_back_first(bench: PayoutBench) -> None:
    paid = await bench.paid()
    bench.stripe.bank.fail(paid.arrival_id or "")
    await bench.advance(paid)
    bench.clock.now_ms += rules.QUIET_MS
    for _ in range(2):
        await bench.process().decisions.refuse(paid.payout_id, operator="olga", reason="the bank closed it")
        await bench.work(again=lambda url: True)

    assert (bench.kept(paid).state, await bench.balance()) == (PayoutState.REVERSED, EARNED)
    assert (bench.left_minor(), bench.left_minor(paid.destination)) == (PLATFORM_MINOR, 0)
    await bench.check_books()


@pytest.mark.parametrize("times", [1, 2])
async def test_a_transfer_that_came_back_gives_the_credits_back_once(bench: PayoutBench, times: int) -> None:
    sent = await bench.on_its_way()
    bench.stripe.bank.fail(sent.arrival_id or "")
    bench.stripe.handle("POST", f"/v1/transfers/{sent.transfer_id}/reversals", {})
    await bench.receive_events()
    for _ in range(times):
        await bench.work(again=lambda url: True)

    assert (bench.kept(sent).state, await bench.balance()) == (PayoutState.REVERSED, EARNED)
    assert await bench.process().ledger.head(EARN)
    await bench.check_books()


async def test_a_transfer_of_which_a_part_came_back_waits_for_a_person(bench: PayoutBench) -> None:
    sent = await bench.on_its_way()
    bench.stripe.bank.fail(sent.arrival_id or "")
    bench.stripe.handle("POST", f"/v1/transfers/{sent.transfer_id}/reversals", {"amount": 100})

    for _ in range(2):
        assert (await bench.advance(sent)).state is PayoutState.TRANSFERRING

    assert await bench.balance() == EARNED - TAKEN
    assert bench.doubts.reasons() == [("payout_partly_reversed", "100 came back")]
    bench.stripe.handle("POST", f"/v1/transfers/{sent.transfer_id}/reversals", {})
    assert (await bench.advance(sent)).state is PayoutState.REVERSED
    assert await bench.balance() == EARNED


async def test_what_cannot_be_fetched_back_waits_for_a_person(bench: PayoutBench) -> None:
    paid = await bench.paid()
    bench.stripe.bank.fail(paid.arrival_id or "")
    await bench.advance(paid)
    bench.stripe.bank.make({"amount": AMOUNT_MINOR, "currency": "usd"}, paid.destination)
    bench.clock.now_ms += rules.QUIET_MS
    for _ in range(2):
        await bench.process().decisions.refuse(paid.payout_id, operator="olga", reason="the bank closed it")
        await bench.work(again=lambda url: True)

    assert (bench.kept(paid).state, await bench.balance()) == (PayoutState.HELD, EARNED - TAKEN)
    assert [reason for reason, _ in bench.doubts.reasons()] == ["payout_not_fetched"]


@pytest.mark.parametrize("seed", range(3))
async def test_whoever_does_what_at_once_no_credit_is_paid_out_twice_or_lost(seed: int) -> None:
    """Two weeks of requests, cancellations, approvals, banks and reversals, all at the same moment each day."""
    bench, chance = await ready(), chance_of(seed)
    for day in range(14):
        process, known = bench.process(), list(bench.store.kept.values())
        acts: list[Awaitable[object]] = [bench.ask(key=f"{day}-{number}") for number in range(2)]
        for one in known:
            acts += [process.decisions.cancel(ADA, one.payout_id), bench.approve(one)]
            acts += [process.sending.advance(one.payout_id), bench.process().sending.advance(one.payout_id)]
            if one.state is PayoutState.TRANSFERRING and one.arrival_id is not None:
                chance.choice([bench.stripe.bank.arrive, bench.stripe.bank.fail])(one.arrival_id)
                if chance.random() < 0.5:
                    # Refused where the bank has it already.
                    with contextlib.suppress(StripeRefusal):
                        bench.stripe.handle("POST", f"/v1/transfers/{one.transfer_id}/reversals", {})
        chance.shuffle(acts)
        for outcome in await asyncio.gather(*acts, return_exceptions=True):
            assert not isinstance(outcome, Exception) or isinstance(outcome, CredenceError)
        bench.clock.now_ms += DAY_MS

    kept = [one for one in bench.store.kept.values() if one.state not in rules.OVER]
    sent_minor = sum(one["amount"] - one["amount_reversed"] for one in bench.transfers())
    assert await bench.balance() + sum(one.micros for one in kept) == EARNED
    assert sent_minor in (0, AMOUNT_MINOR)
    assert bench.left_minor() == PLATFORM_MINOR - sent_minor
    await bench.check_books()
