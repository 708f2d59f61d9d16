"""The engine's limits: what is folded, what waits, what is given up, and that one caller's trouble stays its own."""

import asyncio
from collections import deque

import pytest
from msgspec.structs import replace

from shared.base.errors import CredenceError
from shared.base.ids import AccountId
from shared.ledger.engine import PAUSE_S_MAX, ROUNDS_MAX, WAITING_MAX, Engine
from shared.ledger.errors import (
    ChainBroken,
    LedgerBusy,
    LedgerUnavailable,
)
from shared.ledger.memory import MemoryLedgerStore
from shared.ledger.models import HOUSE_REVENUE, Share
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
    open_account,
    opened,
    place,
    soon,
    transfer,
)
from tests.ledger.tampering import assert_whole


async def test_what_waits_is_folded_into_one_commit(memory: MemoryLedgerStore, store: FaultyStore) -> None:
    await opened(memory, paid=1_000)
    engine = engine_on(store)

    await asyncio.gather(*(engine.run(debit(1, f"d{i}")) for i in range(250)))

    assert store.commits == 3
    assert store.entries_committed == 250
    await assert_whole(memory)


async def test_a_warm_hold_and_capture_are_one_commit_each_and_no_read(
    memory: MemoryLedgerStore, store: FaultyStore
) -> None:
    await opened(memory, paid=100)
    engine = engine_on(store)
    await engine.run(debit(1, "warms the cache"))
    store.commits = store.reads = store.entries_committed = 0

    await engine.run(place(50))
    assert (store.commits, store.entries_committed, store.reads) == (1, 0, 0)
    await engine.run(capture(20))
    assert (store.commits, store.entries_committed, store.reads) == (2, 1, 0)


async def test_a_full_queue_answers_busy_and_posts_the_rest(memory: MemoryLedgerStore, store: FaultyStore) -> None:
    await opened(memory, paid=10 * WAITING_MAX)
    engine = engine_on(store)

    runs = [engine.run(debit(1, f"d{i}")) for i in range(WAITING_MAX + 5)]
    outcomes = await asyncio.gather(*runs, return_exceptions=True)

    assert sum(isinstance(outcome, LedgerBusy) for outcome in outcomes) == 5
    assert sum(isinstance(outcome, Posted) for outcome in outcomes) == WAITING_MAX


async def test_transfers_are_bounded_like_everything_else(memory: MemoryLedgerStore, store: FaultyStore) -> None:
    await opened(memory, paid=10 * WAITING_MAX, accounts=(ADA, BEN))
    engine = engine_on(store)

    runs = [engine.run(transfer(1, f"t{i}")) for i in range(WAITING_MAX + 5)]
    outcomes = await asyncio.gather(*runs, return_exceptions=True)

    assert sum(isinstance(outcome, LedgerBusy) for outcome in outcomes) == 5


async def test_a_transfer_to_oneself_is_refused_and_blocks_nothing(memory: MemoryLedgerStore) -> None:
    await opened(memory, paid=100)
    engine = engine_on(memory)

    async with asyncio.timeout(5):
        with pytest.raises(CredenceError):
            await engine.run(transfer(10, to=ADA))
        await engine.run(debit(10))

    assert await balance(memory) == 90


async def test_a_cancelled_caller_loses_nothing(memory: MemoryLedgerStore) -> None:
    await opened(memory, paid=100)
    store = FaultyStore(memory, delay_s=0.01)
    engine = engine_on(store)
    first = asyncio.ensure_future(engine.run(debit(10, "first")))
    second = asyncio.ensure_future(engine.run(debit(10, "second")))
    await asyncio.sleep(0.001)
    second.cancel()

    await first
    with pytest.raises(asyncio.CancelledError):
        await second
    posted = await engine.run(debit(10, "second"))

    assert posted.entry.balance_micros == 80
    assert await balance(memory) == 80
    await assert_whole(memory)


async def test_a_store_that_never_answers_is_unavailable_and_recovers(
    memory: MemoryLedgerStore, store: FaultyStore
) -> None:
    await opened(memory, paid=100)
    engine = engine_on(store)
    store.lost = store.unread = 1.0

    with pytest.raises(LedgerUnavailable):
        await engine.run(debit(10))
    assert store.reads <= 2 * ROUNDS_MAX
    store.lost = store.unread = 0.0

    assert (await engine.run(debit(10))).entry.balance_micros == 90


async def test_a_group_that_takes_too_long_is_given_up(memory: MemoryLedgerStore, store: FaultyStore) -> None:
    await opened(memory, paid=100)
    engine = Engine(store, settle_timeout_s=0.01)
    store.delay_s = 1.0

    with pytest.raises(LedgerUnavailable):
        await engine.run(debit(10))
    store.delay_s = 0.0

    assert (await engine.run(debit(10))).entry.balance_micros == 90


async def test_a_broken_document_is_told_as_such_and_blocks_nobody(memory: MemoryLedgerStore) -> None:
    await opened(memory, paid=100, accounts=(ADA, BEN))
    memory.heads[ADA]["balance_micros"] = 10**9
    engine = engine_on(memory)

    with pytest.raises(ChainBroken):
        await engine.run(debit(10))

    assert (await engine.run(debit(10, by=BEN))).entry.balance_micros == 90


async def test_an_operation_that_cannot_be_computed_fails_alone(memory: MemoryLedgerStore) -> None:
    """One caller's mistake (shares that add up to nothing) is its own, whoever waits beside it."""
    await opened(memory, paid=1_000)
    engine = engine_on(memory)
    wrong = replace(debit(1, "wrong"), shares=(Share(HOUSE_REVENUE, 0),))

    async with asyncio.timeout(5):
        runs = [engine.run(debit(1, f"d{i}")) for i in range(150)]
        outcomes = await asyncio.gather(engine.run(wrong), *runs, return_exceptions=True)

    assert isinstance(outcomes[0], ArithmeticError)
    assert all(isinstance(outcome, Posted) for outcome in outcomes[1:])


async def test_a_key_that_is_not_text_fails_before_it_waits(memory: MemoryLedgerStore) -> None:
    await opened(memory, paid=1_000)
    engine = engine_on(memory)

    async with asyncio.timeout(5):
        runs = [engine.run(debit(1, key)) for key in ("before", "\ud800", "after")]
        outcomes = await asyncio.gather(*runs, return_exceptions=True)

    assert isinstance(outcomes[1], UnicodeEncodeError)
    assert isinstance(outcomes[0], Posted)
    assert isinstance(outcomes[2], Posted)


async def test_an_unexpected_failure_of_the_store_strands_nobody(memory: MemoryLedgerStore) -> None:
    class Surprising(FaultyStore):
        async def commit(self, heads, entries):  # type: ignore[no-untyped-def]
            if self.commit_script:
                raise RuntimeError(self.commit_script.popleft())
            return await super().commit(heads, entries)

    await opened(memory, paid=1_000)
    store = Surprising(memory, commit_script=deque(["surprise"]))
    engine = engine_on(store)
    unhandled: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))

    async with asyncio.timeout(5):
        runs = [engine.run(debit(1, f"d{i}")) for i in range(150)]
        outcomes = await asyncio.gather(*runs, return_exceptions=True)

    assert sum(isinstance(outcome, LedgerUnavailable) for outcome in outcomes) == 100
    assert sum(isinstance(outcome, Posted) for outcome in outcomes) == 50


async def test_lanes_remembered_are_bounded(memory: MemoryLedgerStore) -> None:
    engine = Engine(memory, lanes_max=10)

    await asyncio.gather(*(engine.run(open_account(AccountId(f"user:{i}"))) for i in range(50)))
    await engine.run(open_account(AccountId("user:last")))

    assert len(engine._lanes) <= 11


async def test_the_default_engine_pauses_between_tries(memory: MemoryLedgerStore, store: FaultyStore) -> None:
    pauses: list[float] = []

    async def noted(seconds: float) -> None:
        pauses.append(seconds)
        await soon(seconds)

    await opened(memory, paid=100)
    store.commit_script = deque(["lost"] * 12)
    await Engine(store, sleep=noted, jitter=chance_of(3)).run(debit(1))

    assert len(pauses) == 12
    assert all(0 <= pause <= PAUSE_S_MAX for pause in pauses)
    assert max(pauses) > 0.05
