"""Two people act on one membership at the same moment: neither undoes the other, and nobody gets in by it."""

from collections.abc import Awaitable, Callable

import pytest

from shared.base.errors import CredenceError
from shared.ledger import shares
from shared.pools.errors import InvitationsFull, InvitationWrong, MemberBarred, RoleMissing
from shared.pools.models import INVITATIONS_OPEN_MAX, Pool, PoolTerms, Role, Standing
from shared.pools.store import member_of
from tests.cards.builders import Fate
from tests.pools.builders import ADA, BEN, CLARA, Club, MemoryPools, Process


class Meanwhile(Fate):
    """Somebody else does something, once, just before or just after the first write."""

    def __init__(self, work: Callable[[], Awaitable[object]], *, after: bool = False) -> None:
        super().__init__(0)
        self._work: Callable[[], Awaitable[object]] | None = work
        self._is_after = after

    async def before(self) -> None:
        await self._meet(at=False)

    async def done(self) -> None:
        await self._meet(at=True)

    async def _meet(self, *, at: bool) -> None:
        if self._work is not None and at is self._is_after:
            work, self._work = self._work, None
            await work()


def interrupted(club: Club, work: Callable[[], Awaitable[object]], *, after: bool = False) -> Process:
    """A process whose first write of a member meets somebody else's act."""
    return club.process(pool_store=MemoryPools(club.pool_store, Meanwhile(work, after=after)))


async def standing(club: Club, pool: Pool) -> Standing:
    member = member_of(await club.pool_store.member(pool.pool_id, BEN))
    assert member is not None
    return member.standing


async def has_seat(club: Club, pool: Pool) -> bool:
    book = (await club.head(pool.account_id)).book
    assert book is not None
    stake = shares.stake_of(book, BEN)
    return stake is not None and stake.seated


async def test_who_leaves_while_they_are_removed_stays_removed() -> None:
    """Else they would have left of their own will, and a public pool would let them in again."""
    club = Club()
    pool = await club.begin()
    process = interrupted(club, lambda: club.first.partings.change_member(ADA, pool.pool_id, BEN, barred=True))

    await process.partings.leave(BEN, pool.pool_id)

    assert await standing(club, pool) is Standing.BARRED
    with pytest.raises(MemberBarred):
        await club.first.pools.join(BEN, pool.pool_id, None)


@pytest.mark.parametrize("after", [False, True], ids=["before they are in", "before they have a seat"])
async def test_who_joins_while_they_are_removed_has_no_seat(after: bool) -> None:
    club = Club()
    pool = await club.begin()
    await club.first.partings.leave(BEN, pool.pool_id)
    invited = await club.first.invitations.invite(ADA, pool.pool_id, uses_max=1, lifetime_ms=10**6)
    work = lambda: club.first.partings.change_member(ADA, pool.pool_id, BEN, barred=True)  # noqa: E731
    process = interrupted(club, work, after=after)

    with pytest.raises(MemberBarred):
        await process.pools.join(BEN, pool.pool_id, invited.code.reveal())

    assert await standing(club, pool) is Standing.BARRED
    assert not await has_seat(club, pool)


async def test_a_role_given_to_somebody_who_leaves_meanwhile_does_not_bring_them_back() -> None:
    club = Club()
    pool = await club.begin()
    process = interrupted(club, lambda: club.first.partings.leave(BEN, pool.pool_id))

    with pytest.raises(CredenceError):
        await process.partings.change_member(ADA, pool.pool_id, BEN, role=Role.MANAGER)

    assert await standing(club, pool) is Standing.LEFT


async def test_a_pool_that_is_handed_to_two_at_once_has_one_owner() -> None:
    club = Club()
    pool = await club.begin()
    process = interrupted(club, lambda: club.first.partings.change_member(ADA, pool.pool_id, CLARA, role=Role.OWNER))

    with pytest.raises(RoleMissing):
        await process.partings.change_member(ADA, pool.pool_id, BEN, role=Role.OWNER)

    roles = {member.user_id: member.role for member in await club.pool_store.members(pool.pool_id)}
    assert roles == {ADA: Role.MANAGER, BEN: Role.MEMBER, CLARA: Role.OWNER}
    repeated = await club.first.partings.change_member(ADA, pool.pool_id, CLARA, role=Role.OWNER)
    assert repeated.role is Role.OWNER


async def test_an_invitation_is_worth_what_whoever_made_it_may_do_now() -> None:
    """A manager who is removed keeps no door open, and one that is revoked lets nobody in."""
    club = Club()
    pool = await club.begin()
    await club.first.partings.change_member(ADA, pool.pool_id, BEN, role=Role.MANAGER)
    by_ben = await club.first.invitations.invite(BEN, pool.pool_id, uses_max=9, lifetime_ms=10**6)
    by_ada = await club.first.invitations.invite(ADA, pool.pool_id, uses_max=9, lifetime_ms=10**6)
    await club.first.partings.leave(CLARA, pool.pool_id)

    await club.first.partings.change_member(ADA, pool.pool_id, BEN, role=Role.MEMBER)
    await club.first.invitations.revoke(ADA, pool.pool_id, by_ada.invitation.invitation_id)

    for code in (by_ben.code, by_ada.code):
        with pytest.raises(InvitationWrong):
            await club.first.pools.join(CLARA, pool.pool_id, code.reveal())


async def test_a_pool_has_so_many_open_invitations() -> None:
    """Those that let nobody in any more take no room."""
    club = Club()
    await club.begin()
    pool = await club.first.pools.create(ADA, PoolTerms("another"), key="another")
    invite = lambda: club.first.invitations.invite(ADA, pool.pool_id, uses_max=1, lifetime_ms=10**6)  # noqa: E731
    made = [await invite() for _ in range(INVITATIONS_OPEN_MAX)]

    with pytest.raises(InvitationsFull):
        await invite()
    await club.first.invitations.revoke(ADA, pool.pool_id, made[0].invitation.invitation_id)
    await invite()
    with pytest.raises(InvitationsFull):
        await invite()
    club.clock.now_ms += 10**6
    await invite()


async def test_an_invitation_revoked_while_it_is_used_is_used_or_refused() -> None:
    club = Club()
    pool = await club.begin()
    await club.first.partings.leave(BEN, pool.pool_id)
    invited = await club.first.invitations.invite(ADA, pool.pool_id, uses_max=1, lifetime_ms=10**6)
    revoke = lambda: club.first.invitations.revoke(ADA, pool.pool_id, invited.invitation.invitation_id)  # noqa: E731

    with pytest.raises(InvitationWrong):
        await interrupted(club, revoke).pools.join(BEN, pool.pool_id, invited.code.reveal())

    assert await standing(club, pool) is Standing.LEFT


async def test_only_a_pool_of_ones_own_is_handed_over() -> None:
    club = Club()
    pool = await club.begin()
    await club.first.pools.create(BEN, PoolTerms("another"), key="another")
    await club.first.partings.change_member(ADA, pool.pool_id, BEN, role=Role.MANAGER)

    with pytest.raises(RoleMissing):
        await club.first.partings.change_member(BEN, pool.pool_id, BEN, role=Role.OWNER)
    with pytest.raises(RoleMissing):
        await club.first.partings.change_member(BEN, pool.pool_id, CLARA, role=Role.OWNER)
    await club.check()
