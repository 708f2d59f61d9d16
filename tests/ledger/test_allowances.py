"""Spending limits ride on the head: no period sees more than its limit, whatever the order of holds and charges."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.base.ids import AccountId
from shared.base.periods import Period, period_start_ms
from shared.ledger import rules
from shared.ledger.allowances import count_spent, left_micros, used_micros
from shared.ledger.documents import head_document, head_from
from shared.ledger.errors import CreditTooLow, SpendLimitReached
from shared.ledger.funding import SetLimit
from shared.ledger.memory import MemoryLedgerArchive, MemoryLedgerStore
from shared.ledger.models import Allowance, Head, Lot, Origin, SpendLimit
from shared.ledger.operation import facts_of
from shared.ledger.postings import OpenAccount
from shared.ledger.standing import Close
from shared.ledger.verify import verify_account
from tests.ledger.builders import (
    ADA,
    DAY,
    NOW,
    capture,
    debit,
    engine_on,
    entries_of,
    grant,
    opened,
    place,
    release,
    transfer,
)

CARD = AccountId("card:ada")
DAILY = SpendLimit(100, Period.DAY)
MIDNIGHT = period_start_ms(Period.DAY, NOW) + DAY

spends = st.lists(st.tuples(st.integers(0, 90 * DAY), st.integers(1, 1_000)), max_size=30)


async def card_with(memory: MemoryLedgerStore, credits: int, limit: SpendLimit | None = DAILY) -> None:
    """A card's account with so many paid micros."""
    await opened(memory)
    engine = engine_on(memory)
    await engine.run(OpenAccount(account_id=CARD, allowance=Allowance(limit=limit), at_ms=NOW))
    await engine.run(grant(credits, "card", to=CARD))


async def head_of(memory: MemoryLedgerStore) -> Head:
    head = (await memory.read([CARD], ())).heads[CARD].head
    assert head is not None
    return head


@given(spends)
def test_counts_are_the_sums_over_the_period_of_the_moment(spent: list[tuple[int, int]]) -> None:
    """By day, week and month, against the sum over all charges of that period."""
    spent = sorted(spent)
    allowance: Allowance | None = Allowance()
    for after_ms, amount in spent:
        allowance = count_spent(allowance, amount, NOW + after_ms)

    for at_ms in (NOW, NOW + 45 * DAY, NOW + 90 * DAY, NOW + 200 * DAY):
        if spent and at_ms < NOW + spent[-1][0]:
            continue
        head = Head(CARD, allowance=allowance)
        for period in (Period.DAY, Period.WEEK, Period.MONTH):
            start = period_start_ms(period, at_ms)
            assert used_micros(head, period, at_ms) == sum(a for after, a in spent if NOW + after >= start)


@given(st.lists(st.tuples(st.integers(-10_000, 10_000), st.integers(1, 50)), max_size=20))
def test_a_clock_that_steps_back_frees_nothing(spent: list[tuple[int, int]]) -> None:
    """Instances disagree by seconds around midnight: the later day's count goes on."""
    allowance: Allowance | None = Allowance()
    for offset_ms, amount in spent:
        allowance = count_spent(allowance, amount, MIDNIGHT + offset_ms)

    after = sum(amount for offset, amount in spent if offset >= 0)
    assert used_micros(Head(CARD, allowance=allowance), Period.DAY, MIDNIGHT - 1) >= after
    assert used_micros(Head(CARD, allowance=allowance), Period.DAY, MIDNIGHT + 10_000) >= after


@given(st.lists(st.tuples(st.integers(0, 3 * DAY), st.integers(1, 60), st.booleans()), max_size=40))
def test_no_day_sees_more_than_its_limit(steps: list[tuple[int, int, bool]]) -> None:
    """Holds that live across midnight are captured on the later day, and count there."""
    head = Head(CARD, lots=(Lot(Origin.PAID, None, 10**9),), allowance=Allowance(limit=DAILY))
    open_holds: list[str] = []
    spent: dict[int, int] = {}
    for number, (after_ms, amount, finish) in enumerate(sorted(steps)):
        at_ms = NOW + after_ms
        if finish and open_holds:
            hold_id = open_holds.pop()
            amount = min(amount, head.holds[hold_id].amount_micros)  # type: ignore[index]
            step = capture(amount, hold_id, by=CARD, at_ms=at_ms).apply({CARD: head})
            (head,) = step.heads
            day = period_start_ms(Period.DAY, at_ms)
            spent[day] = spent.get(day, 0) + amount
            continue
        try:
            (head,) = place(amount, f"h{number}", by=CARD, at_ms=at_ms, lifetime_ms=10 * DAY).apply({CARD: head}).heads
        except SpendLimitReached:
            continue
        else:
            open_holds.append(f"h{number}")

    assert max(spent.values(), default=0) <= DAILY.amount_micros


async def test_a_limit_refuses_with_what_it_leaves_and_until_when(memory: MemoryLedgerStore) -> None:
    """A limit is another reason than an empty account, and both say how much would go."""
    await card_with(memory, 1_000)
    engine = engine_on(memory)
    await engine.run(debit(70, by=CARD))

    for refused in (debit(31, "second", by=CARD), place(31, by=CARD)):
        with pytest.raises(SpendLimitReached, match=r"limit leaves 0\.00003\.") as caught:
            await engine.run(refused)
        assert caught.value.details() == {"needed_micros": 31, "spendable_micros": 30, "resets_at_ms": MIDNIGHT}
    with pytest.raises(SpendLimitReached):
        await engine.run(debit(930, "all of it", by=CARD))
    with pytest.raises(CreditTooLow) as poor:
        await engine.run(debit(931, "third", by=CARD))
    assert poor.value.code == "credit_too_low"
    await engine.run(debit(100, "tomorrow", by=CARD, at_ms=MIDNIGHT))
    assert (await head_of(memory)).spent_micros == 170


async def test_a_hundred_at_once_do_not_pass_the_limit_together(memory: MemoryLedgerStore) -> None:
    """From three processes, each with heads of its own in memory."""
    await card_with(memory, 1_000)
    engines = [engine_on(memory, seed) for seed in range(3)]

    outcomes = await asyncio.gather(
        *(engines[number % 3].run(debit(7, f"d{number}", by=CARD)) for number in range(100)), return_exceptions=True
    )

    refused = [outcome for outcome in outcomes if isinstance(outcome, SpendLimitReached)]
    assert len(refused) == 100 - 100 // 7
    assert (await head_of(memory)).spent_micros == 98
    await verify_account(MemoryLedgerArchive(memory), CARD)


async def test_held_credits_count_until_they_are_given_back(memory: MemoryLedgerStore) -> None:
    await card_with(memory, 1_000)
    engine = engine_on(memory)
    await engine.run(place(80, by=CARD))

    with pytest.raises(SpendLimitReached):
        await engine.run(debit(21, by=CARD))
    await engine.run(release(by=CARD))
    await engine.run(debit(21, "again", by=CARD))


async def test_a_limit_can_be_changed_and_lifted(memory: MemoryLedgerStore) -> None:
    """What was spent before still counts; lowering it below that leaves nothing, and takes nothing."""
    await card_with(memory, 1_000)
    engine = engine_on(memory)
    await engine.run(debit(90, by=CARD))

    await engine.run(SetLimit(CARD, SpendLimit(50, Period.MONTH)))
    head = await head_of(memory)
    assert left_micros(head, 0, NOW) == 0
    with pytest.raises(SpendLimitReached):
        await engine.run(debit(1, "more", by=CARD))
    await engine.run(SetLimit(CARD, SpendLimit(95, Period.TOTAL)))
    with pytest.raises(SpendLimitReached):
        await engine.run(debit(6, "next month", by=CARD, at_ms=NOW + 90 * DAY))
    await engine.run(SetLimit(CARD, None))
    await engine.run(debit(900, "all", by=CARD))


async def test_closing_is_no_spending(memory: MemoryLedgerStore) -> None:
    """A limit does not keep the rest from going home."""
    await card_with(memory, 1_000)

    closed = Close(account_id=CARD, rest_to=ADA, key="close", facts=facts_of({}), at_ms=NOW)

    assert (await engine_on(memory).run(closed)).entry.delta_micros == -1_000


def test_an_account_without_allowance_is_stored_as_before() -> None:
    """Most heads are wallets; they pay for no field that they do not use."""
    wallet, card = Head(ADA), Head(CARD, allowance=Allowance(limit=DAILY, counted_at_ms=NOW, day_micros=7))

    assert "allowance" not in head_document(wallet)
    assert head_from(CARD, head_document(card)) == card
    assert head_from(CARD, head_document(replace(card, allowance=Allowance()))).allowance == Allowance()


def test_a_wallet_counts_nothing_by_period() -> None:
    head = Head(ADA, spent_micros=5)

    assert [used_micros(head, period, NOW) for period in Period] == [0, 0, 0, 5]
    assert left_micros(head, 0, NOW) is None
    assert rules.spendable_micros(head, NOW) == 0


async def test_transfers_are_not_usage(memory: MemoryLedgerStore) -> None:
    await card_with(memory, 1_000)
    engine = engine_on(memory)

    await engine.run(transfer(40, by=CARD, to=ADA))

    assert used_micros(await head_of(memory), Period.DAY, NOW) == 0
    assert [entry["kind"] for entry in entries_of(memory, CARD)] == ["open", "grant", "transfer"]
