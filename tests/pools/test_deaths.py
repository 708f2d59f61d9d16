"""A process may die before or after any write: a repeat by another one ends as if nobody had died."""

from collections.abc import Awaitable, Callable

import pytest

from shared.base.errors import CredenceError
from shared.base.ids import HoldId
from shared.cards.models import CardStatus
from shared.ledger.pools import wallet_of
from shared.pools.models import Pool, PoolStatus, PoolTerms, Role
from tests.cards.builders import Fate
from tests.pools.builders import ADA, BEN, CLARA, Club, Process, order

Act = Callable[[Process, Pool], Awaitable[object]]
DEATHS_MAX = 40


async def prepared() -> tuple[Club, Pool]:
    """Ada has 300 in the pool, Ben 100, and a session of Ben's has drawn 150."""
    club = Club()
    pool = await club.begin()
    await club.put_in(ADA, pool, 300)
    await club.put_in(BEN, pool, 100)
    await club.first.sessions.create(BEN, order(pool, 150), key="drawn")
    return club, pool


async def outcome(club: Club, pool: Pool) -> object:
    """All that anybody could see afterwards."""
    book = (await club.head(pool.account_id)).book
    records = [kept.record.card for _, kept in sorted(club.records.kept.items())]
    return (
        await club.wallets(),
        book,
        [(card.card_id, card.status, card.session) for card in records],
        {name: kept.pool.status for name, kept in club.pool_store.pools.items()},
        {name: kept.member for name, kept in club.pool_store.people.items()},
        [kept.invitation.revoked_by for kept in club.pool_store.invitations_.values()],
    )


async def open_another(process: Process, pool: Pool) -> object:
    return await process.sessions.create(BEN, order(pool, 20), key="another")


async def open_own(process: Process, pool: Pool) -> object:
    return await process.sessions.create(CLARA, order(None, 20), key="own")


async def end(process: Process, pool: Pool) -> object:
    [card] = await process.sessions.owned_by(BEN)
    return await process.sessions.end(BEN, card.card_id)


ACTS: dict[str, Act] = {
    "create a pool": lambda process, pool: process.pools.create(CLARA, PoolTerms("another"), key="another"),
    "open a session": open_another,
    "open a session of a wallet": open_own,
    "end a session": end,
    "contribute": lambda process, pool: process.pools.contribute(CLARA, pool.pool_id, 7, origin=None, key="k"),
    "withdraw": lambda process, pool: process.pools.withdraw(ADA, pool.pool_id, 7, key="k"),
    "leave": lambda process, pool: process.partings.leave(BEN, pool.pool_id),
    "remove": lambda process, pool: process.partings.change_member(ADA, pool.pool_id, BEN, barred=True),
    "hand over": lambda process, pool: process.partings.change_member(ADA, pool.pool_id, BEN, role=Role.OWNER),
    "limit": lambda process, pool: process.partings.change_member(ADA, pool.pool_id, BEN, limit=None),
    "close": lambda process, pool: process.partings.close(ADA, pool.pool_id),
}


@pytest.mark.parametrize("after", [False, True], ids=["before a write", "after a write"])
@pytest.mark.parametrize("name", ACTS)
async def test_a_repeat_ends_as_if_nobody_had_died(name: str, after: bool) -> None:
    act = ACTS[name]
    undisturbed, its_pool = await prepared()
    await act(undisturbed.first, its_pool)
    expected = await outcome(undisturbed, its_pool)

    for dies_at in range(1, DEATHS_MAX):
        club, pool = await prepared()
        fate = Fate(dies_at, after=after)
        await fate.meet(_quietly(act(club.process(fate), pool)))
        await act(club.process(), pool)

        assert await outcome(club, pool) == expected, f"died at call {dies_at}"
        await club.check()
        if fate.calls < dies_at:
            return
    pytest.fail("it makes more calls than this test has deaths")


async def _quietly(work: Awaitable[object]) -> None:
    try:
        await work
    except CredenceError:
        return


async def test_what_a_dead_opening_drew_comes_back_when_its_time_is_over() -> None:
    """Nobody repeats it, and still no credit is lost."""
    for dies_at in range(1, 20):
        club, pool = await prepared()
        fate = Fate(dies_at)
        await fate.meet(open_another(club.process(fate), pool))
        club.clock.now_ms += 10**8

        for _ in range(2):
            await club.process().sweep.run()

        head = await club.head(pool.account_id)
        assert head.book is not None
        assert (head.balance_micros, head.book.draws_open) == (400, 0)
        assert all(kept.record.card.status is CardStatus.CLOSED for kept in club.records.kept.values())
        await club.check()


async def test_a_pool_that_waits_for_a_call_is_closed_by_the_timer() -> None:
    """What the call holds comes back to its givers after it, and nothing new begins meanwhile."""
    club, pool = await prepared()
    [card] = await club.first.sessions.owned_by(BEN)
    await club.first.ledger.hold(card.account_id, 40, hold_id=HoldId("call"))

    closed = await club.first.partings.close(ADA, pool.pool_id)
    assert (closed.pool.status, closed.sessions_open) == (PoolStatus.CLOSING, 1)
    with pytest.raises(CredenceError):
        await club.first.ledger.hold(card.account_id, 1, hold_id=HoldId("more"))
    with pytest.raises(CredenceError):
        await club.first.sessions.create(BEN, order(pool, 1), key="more")
    await club.first.ledger.capture(card.account_id, HoldId("call"), 30, facts={})
    report = await club.process().sweep.run()

    assert (report.ended, report.pools_closed) == (1, 1)
    assert club.pool_store.pools[pool.pool_id].pool.status is PoolStatus.CLOSED
    # Ben's own hundred paid for the call, and Ada's fifty are back.
    assert await club.wallets() == {ADA: 1_000, BEN: 970, CLARA: 1_000}
    await club.check()


async def test_what_comes_back_for_somebody_who_left_follows_them() -> None:
    club, pool = await prepared()
    await club.first.partings.change_member(ADA, pool.pool_id, BEN, limit=None)
    await club.put_in(CLARA, pool, 400)
    await club.first.sessions.create(BEN, order(pool, 350), key="more")
    lent = (await club.head(pool.account_id)).balance_micros

    await club.first.partings.leave(CLARA, pool.pool_id)
    assert (await club.wallets())[CLARA] < 1_000
    for card in await club.first.sessions.owned_by(BEN):
        await club.first.sessions.end(BEN, card.card_id)

    assert lent < 800
    assert (await club.wallets())[CLARA] == 1_000
    assert (await club.head(wallet_of(ADA))).balance_micros == 700
    await club.check()


async def test_a_session_knows_whose_credits_it_drew() -> None:
    """His own hundred and fifty of Ada's; of a wallet's session, nobody else's. No key of theirs serves their calls."""
    club, pool = await prepared()

    [drawn] = await club.first.sessions.owned_by(BEN)
    await open_own(club.first, pool)
    [own] = await club.first.sessions.owned_by(CLARA)

    assert drawn.payers == {ADA, BEN}
    assert own.payers == {CLARA}
