"""Payouts over stores in memory and Stripe's stand-in: the way to the bank, what goes wrong on it, and thieves."""

import asyncio
import contextlib

import pytest
from msgspec.structs import replace

from shared.base.economy import DAY_MS
from shared.ledger.errors import KeyReused
from shared.ledger.models import HOUSE_PAYMENTS
from shared.payments.models import (
    Hold,
    Money,
    Order,
    OrderId,
    OrderState,
    RailName,
    Reversal,
    ReversalKind,
    ReversalState,
)
from shared.payouts import rules
from shared.payouts.errors import PayoutAbsent, PayoutRefused
from shared.payouts.models import HOUSE_PAYOUTS, Payout, PayoutState
from tests.images.jobs import Fate, Killed
from tests.ledger.builders import NOW
from tests.payouts.bench import (
    ADA,
    AMOUNT_MINOR,
    ASKED,
    BEN,
    EARN,
    EARNED,
    PLATFORM_MINOR,
    TAKEN,
    WALLET,
    PayoutBench,
)

STEPS_MAX = 300


@pytest.fixture
async def bench() -> PayoutBench:
    return await ready()


async def ready() -> PayoutBench:
    made = PayoutBench()
    await made.open()
    await made.onboard()
    await made.sell()
    return made


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


def order(reversal: Reversal | None, hold: Hold | None = None) -> Order:
    return Order(
        order_id=OrderId("a" * 24),
        owner=ADA,
        rail=RailName.STRIPE,
        pack_id="starter",
        money=Money(99, "USD"),
        credits_micros=1,
        bonus_micros=0,
        state=OrderState.GRANTED,
        created_at_ms=NOW,
        expires_at_ms=NOW,
        reversals={"one": reversal} if reversal else {},
        hold=hold,
    )


def reversal(kind: ReversalKind, state: ReversalState) -> Reversal:
    return Reversal(kind=kind, state=state, credits_micros=1, bonus_micros=0, amount_minor=1)


OPEN_DISPUTE = order(reversal(ReversalKind.DISPUTE, ReversalState.OPEN))
DOUBTS = {
    "a dispute": OPEN_DISPUTE,
    "an early fraud warning": order(reversal(ReversalKind.WARNING, ReversalState.OPEN)),
    "a purchase set aside": order(None, Hold(reason="card_shared", escrow_id=EARN)),
}


@pytest.mark.parametrize("doubt", DOUBTS)
async def test_an_open_doubt_about_a_purchase_keeps_everything_here(bench: PayoutBench, doubt: str) -> None:
    payout = await bench.ask()
    await bench.approve(payout)
    bench.clock.now_ms += 8 * DAY_MS
    bench.purchases.orders[ADA] = [DOUBTS[doubt]]

    assert (await bench.advance(payout)).waits_for == "dispute_open"
    with pytest.raises(PayoutRefused, match="dispute_open"):
        await bench.ask(key="two")

    assert bench.transfers() == []


async def test_a_dispute_that_is_decided_keeps_nothing(bench: PayoutBench) -> None:
    bench.purchases.orders[ADA] = [order(reversal(ReversalKind.DISPUTE, ReversalState.TAKEN))]

    assert (await bench.on_its_way()).state is PayoutState.TRANSFERRING


async def test_a_wallet_below_zero_or_frozen_keeps_everything_here(bench: PayoutBench) -> None:
    payout = await bench.ask()
    await bench.approve(payout)
    bench.clock.now_ms += 8 * DAY_MS
    await bench.process().sending._reversals.take_back(WALLET, 5, 0, payee=HOUSE_PAYMENTS, key="fraud", facts={})

    assert (await bench.advance(payout)).waits_for == "negative_balance"


@pytest.mark.parametrize("seen", ["by the webhook", "by nobody"])
async def test_a_change_of_bank_between_request_and_sending_starts_a_cooldown(bench: PayoutBench, seen: str) -> None:
    """Also when its event is lost: whoever sends looks at the recipient first."""
    payout = await bench.ask()
    await bench.approve(payout)
    bench.clock.now_ms += 8 * DAY_MS
    bench.stripe.connect.change_bank(payout.destination)
    if seen == "by the webhook":
        await bench.receive_events()
        await bench.work()

    assert (await bench.advance(payout)).waits_for == "cooldown"
    bench.clock.now_ms += rules.COOLDOWN_MS - 1
    assert (await bench.advance(payout)).state is PayoutState.HELD
    bench.clock.now_ms += 1

    assert (await bench.advance(payout)).state is PayoutState.TRANSFERRING


async def test_a_change_of_bank_while_the_provider_was_away_starts_a_cooldown_too(bench: PayoutBench) -> None:
    """The transfer was made and its answer lost: the way to the bank is judged anew before it is taken."""
    payout = await bench.ask()
    await bench.approve(payout)
    bench.clock.now_ms += 8 * DAY_MS
    transferring = replace(bench.kept(payout), state=PayoutState.TRANSFERRING)
    bench.store.kept[payout.payout_id] = transferring
    await bench.process().sending._sender.send(transferring)
    bench.stripe.connect.change_bank(payout.destination)

    held_back = await bench.advance(payout)

    assert (held_back.state, held_back.reason) == (PayoutState.FAILED, "cooldown")
    assert bench.left_minor(payout.destination) == AMOUNT_MINOR
    bench.clock.now_ms += rules.COOLDOWN_MS
    assert (await bench.advance(payout)).state is PayoutState.TRANSFERRING
    assert (bench.left_minor(payout.destination), len(bench.transfers())) == (0, 1)


async def test_a_recipient_who_lost_the_providers_trust_is_not_paid(bench: PayoutBench) -> None:
    payout = await bench.ask()
    await bench.approve(payout)
    bench.clock.now_ms += 8 * DAY_MS
    bench.stripe.connect.restrict(payout.destination)

    assert (await bench.advance(payout)).waits_for == "not_onboarded"


async def test_a_first_payout_waits_for_a_person_who_may_refuse_it(bench: PayoutBench) -> None:
    payout = await bench.ask()
    bench.clock.now_ms += 8 * DAY_MS
    assert (await bench.advance(payout)).waits_for == "review"

    for _ in range(2):
        await bench.process().decisions.refuse(payout.payout_id, operator="olga", reason="sells to herself")
        await bench.work(again=lambda url: True)

    refused = bench.kept(payout)
    assert (refused.state, refused.reason) == (PayoutState.REFUSED, "olga: sells to herself")
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


async def test_the_provider_refuses_and_a_day_later_it_is_tried_again_and_paid_once(bench: PayoutBench) -> None:
    payout = await refused_by_the_provider(bench)
    assert (await bench.balance(), bench.transfers()) == (EARNED - TAKEN, [])

    bench.stripe.bank.top_up("usd", PLATFORM_MINOR)
    bench.stripe.forget_keys()
    assert (await bench.advance(payout)).waits_for == "hold"
    bench.clock.now_ms += DAY_MS
    again = await bench.advance(payout)

    assert (again.state, again.attempt, len(bench.transfers())) == (PayoutState.TRANSFERRING, 2, 1)


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

    assert (await bench.advance(sent)).state is PayoutState.TRANSFERRING
    assert await bench.balance() == EARNED - TAKEN


async def test_two_deliveries_of_one_task_at_once_send_once(bench: PayoutBench) -> None:
    payout = await bench.ask()
    await bench.approve(payout)
    bench.clock.now_ms += 8 * DAY_MS

    await asyncio.gather(*(bench.advance(payout) for _ in range(5)), return_exceptions=True)
    await bench.advance(payout)

    assert (len(bench.transfers()), bench.left_minor()) == (1, PLATFORM_MINOR - AMOUNT_MINOR)


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
    arrival = bench.stripe.handle("GET", f"/v1/payouts/{payout.arrival_id}", {}, owner=payout.destination)
    if payout.state is PayoutState.PAID and arrival["status"] == "paid":
        bench.stripe.bank.fail(arrival["id"])
    if payout.state not in rules.OVER:
        await bench.process(fate).sending.advance(payout.payout_id)
        bench.clock.now_ms += rules.QUIET_MS
        await bench.process(fate).decisions.refuse(payout.payout_id, operator="olga", reason="closed")
    await bench.process(fate).sending.advance(payout.payout_id)


def _arrive(bench: PayoutBench, payout: Payout) -> None:
    found = bench.stripe.handle("GET", f"/v1/payouts/{payout.arrival_id}", {}, owner=payout.destination)
    if found["status"] == "pending":
        bench.stripe.bank.arrive(found["id"])


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


async def test_what_promotional_credits_earned_is_never_paid_out() -> None:
    bench = PayoutBench()
    await bench.open()
    await bench.onboard()
    await bench.sell(promo=True)

    with pytest.raises(PayoutRefused, match="not_earned"):
        await bench.ask()

    assert (await bench.balance(), HOUSE_PAYOUTS in bench.ledger_store.heads) == (EARNED, False)
