"""The engine keeps its promises whatever the store does, across engines, callers and lost messages."""

import asyncio
from collections import deque

import pytest

from shared.ledger.errors import (
    CreditTooLow,
    HoldAbsent,
    KeyReused,
    LedgerUnavailable,
)
from shared.ledger.memory import MemoryLedgerStore
from shared.ledger.operation import Posted
from tests.ledger.builders import (
    ADA,
    BEN,
    FaultyStore,
    balance,
    capture,
    chance_of,
    debit,
    engine_on,
    entries_of,
    grant,
    opened,
    place,
    release,
    transfer,
)
from tests.ledger.tampering import assert_whole


@pytest.mark.parametrize("fault", ["lost", "unacknowledged", "late"])
async def test_a_commit_without_an_answer_is_posted_once(
    memory: MemoryLedgerStore, store: FaultyStore, fault: str
) -> None:
    await opened(memory, paid=100)
    store.commit_script = deque([fault])

    posted = await engine_on(store).run(debit(30))
    await store.land()

    assert [entry["delta_micros"] for entry in entries_of(memory)] == [0, 100, -30]
    assert posted.entry.balance_micros == 70
    await assert_whole(memory)


async def test_a_repeat_answers_with_the_first_entry(memory: MemoryLedgerStore) -> None:
    await opened(memory, paid=100)
    first = await engine_on(memory).run(debit(30, at_ms=1))

    repeats = [await engine_on(memory).run(debit(30, at_ms=2)) for _ in range(3)]

    assert repeats == [Posted(first.entry, repeated=True)] * 3
    assert await balance(memory) == 70


@pytest.mark.parametrize("other", [debit(31), debit(30, note="other"), grant(30, "debit")])
async def test_a_key_used_for_another_request_is_refused(memory: MemoryLedgerStore, other: object) -> None:
    await opened(memory, paid=100)
    await engine_on(memory).run(debit(30))

    with pytest.raises(KeyReused):
        await engine_on(memory).run(other)  # type: ignore[arg-type]

    assert await balance(memory) == 70


async def test_the_same_key_at_once_is_one_posting(memory: MemoryLedgerStore, store: FaultyStore) -> None:
    await opened(memory, paid=100)
    engines = [engine_on(store, seed) for seed in range(3)]

    outcomes = await asyncio.gather(*(engines[i % 3].run(debit(30)) for i in range(30)))

    assert len({posted.entry.hash for posted in outcomes}) == 1
    assert sum(not posted.repeated for posted in outcomes) == 1
    assert await balance(memory) == 70


async def test_two_hundred_debits_where_fifty_are_affordable(memory: MemoryLedgerStore) -> None:
    await opened(memory, paid=500)
    store = FaultyStore(memory, lost=0.1, unacknowledged=0.1, unread=0.1)
    engines = [engine_on(store, seed) for seed in range(3)]

    runs = [engines[i % 3].run(debit(10, f"debit:{i}")) for i in range(200)]
    outcomes = await asyncio.gather(*runs, return_exceptions=True)

    assert sum(isinstance(outcome, Posted) for outcome in outcomes) == 50
    assert sum(isinstance(outcome, CreditTooLow) for outcome in outcomes) == 150
    assert await balance(memory) == 0
    await assert_whole(memory)


@pytest.mark.parametrize("seed", range(8))
async def test_every_outcome_told_is_the_outcome_stored(memory: MemoryLedgerStore, seed: int) -> None:
    """Under faults of all kinds: who was told yes has an entry, who was told no has none, unknown may be repeated."""
    await opened(memory, paid=200, accounts=(ADA, BEN))
    store = FaultyStore(memory, lost=0.3, unacknowledged=0.3, unread=0.3, chance=chance_of(seed))
    engines = [engine_on(store, seed * 3 + i) for i in range(3)]
    chance = chance_of(seed)
    operations = []
    for i in range(120):
        payer, payee = (ADA, BEN) if chance.random() < 0.5 else (BEN, ADA)
        operation = chance.choice(
            [
                debit(chance.randint(1, 15), f"d{i}", by=payer),
                transfer(chance.randint(1, 60), f"t{i}", by=payer, to=payee),
                grant(chance.randint(1, 5), f"g{i}", to=payer),
            ]
        )
        operations.append(operation)

    outcomes = await asyncio.gather(
        *(engines[i % 3].run(operation) for i, operation in enumerate(operations)),  # type: ignore[arg-type]
        return_exceptions=True,
    )

    for operation, outcome in zip(operations, outcomes, strict=True):
        stored = (operation.account_ids[0], operation.entry_id) in memory.entries
        if isinstance(outcome, Posted):
            assert stored
        else:
            assert isinstance(outcome, CreditTooLow | LedgerUnavailable)
            assert not (stored and isinstance(outcome, CreditTooLow))
    await assert_whole(memory)


async def test_a_refusal_by_a_stale_head_is_confirmed_first(memory: MemoryLedgerStore) -> None:
    await opened(memory)
    stale, other = engine_on(memory), engine_on(memory)
    with pytest.raises(CreditTooLow):
        await stale.run(debit(30, "warms the cache"))
    await other.run(grant(100))

    assert (await stale.run(debit(30))).entry.balance_micros == 70


@pytest.mark.parametrize("script", [["late"], ["late", "overtaken"], ["late", "lost", "late", "overtaken"]])
async def test_nothing_is_refused_that_an_unanswered_commit_may_still_post(
    memory: MemoryLedgerStore, store: FaultyStore, script: list[str]
) -> None:
    """The debit was committed on top of a grant, unanswered. While that may land, the debit is not refused."""
    await opened(memory)
    engine = engine_on(store)
    with pytest.raises(CreditTooLow):
        await engine.run(debit(1, "warms the cache"))
    store.commit_script = deque(script)

    outcomes = await asyncio.gather(engine.run(grant(50)), engine.run(debit(30)), return_exceptions=True)
    await store.land()

    assert isinstance(outcomes[1], Posted)
    assert (ADA, debit(30).entry_id) in memory.entries
    await assert_whole(memory)


async def test_a_debit_folded_onto_a_repeated_grant_is_refused(memory: MemoryLedgerStore) -> None:
    """The grant turns out to be an old one: the debit counted on credits that will never come."""
    await opened(memory)
    await engine_on(memory).run(grant(50))
    await engine_on(memory).run(debit(50, "spent"))
    engine = engine_on(memory)

    outcomes = await asyncio.gather(engine.run(grant(50)), engine.run(debit(30)), return_exceptions=True)

    assert isinstance(outcomes[0], Posted)
    assert outcomes[0].repeated
    assert isinstance(outcomes[1], CreditTooLow)


async def test_transfers_in_both_directions_do_not_wait_in_a_circle(memory: MemoryLedgerStore) -> None:
    await opened(memory, paid=1_000, accounts=(ADA, BEN))
    store = FaultyStore(memory, lost=0.1, unacknowledged=0.1)
    engines = [engine_on(store, seed) for seed in range(2)]
    there = [engines[i % 2].run(transfer(2, f"there:{i}", by=ADA, to=BEN)) for i in range(50)]
    back = [engines[i % 2].run(transfer(1, f"back:{i}", by=BEN, to=ADA)) for i in range(50)]
    alone = [engines[i % 2].run(debit(1, f"d{i}", by=BEN)) for i in range(50)]

    async with asyncio.timeout(20):
        await asyncio.gather(*there, *back, *alone)

    assert await balance(memory, ADA) == 950
    assert await balance(memory, BEN) == 1_000
    await assert_whole(memory)


async def test_a_refusal_is_told_while_commits_fail(memory: MemoryLedgerStore, store: FaultyStore) -> None:
    """What cannot be paid is refused by what is stored; that no commit succeeds changes nothing about it."""
    await opened(memory, paid=100)
    store.lost = 1.0

    with pytest.raises(CreditTooLow):
        await engine_on(store).run(debit(101))


async def test_a_hold_placed_again_is_the_same_hold(memory: MemoryLedgerStore, store: FaultyStore) -> None:
    await opened(memory, paid=100)
    engine = engine_on(store)
    store.commit_script = deque(["unacknowledged"])
    first = await engine.run(place(60, at_ms=1))

    again = await engine.run(place(60, at_ms=2))

    assert again.hold == first.hold
    head = (await memory.read([ADA], ())).heads[ADA].head
    assert head is not None
    assert head.window.count == 1
    with pytest.raises(KeyReused):
        await engine.run(place(61))


async def test_holds_of_one_name_at_once_are_one_hold(memory: MemoryLedgerStore) -> None:
    await opened(memory, paid=100)
    engine = engine_on(memory)

    outcomes = await asyncio.gather(*(engine.run(place(n)) for n in (60, 60, 30)), return_exceptions=True)

    assert isinstance(outcomes[2], KeyReused)
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("seed", range(4))
async def test_a_hold_resolves_once(memory: MemoryLedgerStore, seed: int) -> None:
    """Capture and release race from two engines: either the credits are taken or they are let go."""
    await opened(memory, paid=100)
    store = FaultyStore(memory, lost=0.3, unacknowledged=0.3, chance=chance_of(seed))
    await engine_on(memory).run(place(60))

    captured, released = await asyncio.gather(
        engine_on(store, seed).run(capture(60)), engine_on(store, seed + 1).run(release()), return_exceptions=True
    )

    head = (await memory.read([ADA], ())).heads[ADA].head
    assert head is not None
    assert head.holds == {}
    if isinstance(captured, Posted):
        assert isinstance(released, HoldAbsent)
        assert head.balance_micros == 40
    else:
        assert isinstance(captured, HoldAbsent)
        assert head.balance_micros == 100
    await assert_whole(memory)


async def test_a_repeated_hold_does_not_lift_the_doubt_of_its_group(
    memory: MemoryLedgerStore, store: FaultyStore
) -> None:
    """A hold leaves no entry, so one that stands proves nothing of the commit that was to place it again."""
    await opened(memory, paid=100)
    await engine_on(memory).run(place(60))
    store.commit_script = deque(["late", "overtaken"])
    engine = engine_on(store)

    outcomes = await asyncio.gather(
        *(engine.run(operation) for operation in (capture(10), place(60), grant(50), debit(75))), return_exceptions=True
    )

    assert [outcome for outcome in outcomes if isinstance(outcome, BaseException)] == []
    assert [entry["kind"] for entry in entries_of(memory)] == ["open", "grant", "capture", "grant", "debit"]
