"""What every store of pools promises, Firestore's and the one in memory alike."""

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from local.stack import Stack
from shared.base.ids import UserId
from shared.base.periods import Period
from shared.ledger.models import SpendLimit
from shared.pools.errors import PoolsUnavailable
from shared.pools.models import (
    Invitation,
    InvitationId,
    Member,
    Pool,
    PoolId,
    PoolStatus,
    PoolTerms,
    Role,
    Standing,
)
from shared.pools.store import FirestorePools, PoolChanged, PoolExists, PoolStore, member_of
from tests.database import firestore_at
from tests.pools.builders import MemoryPools

ADA, BEN = UserId("ada"), UserId("ben")
LIMIT = SpendLimit(5, Period.WEEK)
OWNER = Member(ADA, Role.OWNER, Standing.IN, None, 1_800_000_000_000)
GUEST = Member(BEN, Role.MEMBER, Standing.IN, LIMIT, 1_800_000_000_001)


def pool(name: str = "a", *, public: bool = True) -> Pool:
    terms = PoolTerms("a pool", "about it", public, 9, LIMIT)
    return Pool(PoolId(name * 12), PoolStatus.OPEN, terms, 1_800_000_000_000, "r" * 64)


def invitation(name: str = "i") -> Invitation:
    return Invitation(InvitationId(name * 12), PoolId("a" * 12), "h" * 64, 2, 0, 1_900_000_000_000, ADA)


class PoolsContract:
    """Subclassed once per store; `pools` is empty at first."""

    async def test_a_pool_comes_back_as_it_went(self, pools: PoolStore) -> None:
        await pools.create(pool(), OWNER)

        found = await pools.find(PoolId("a" * 12))
        assert found is not None
        assert found.pool == pool()
        assert member_of(await pools.member(PoolId("a" * 12), ADA)) == OWNER
        assert await pools.member(PoolId("a" * 12), BEN) is None
        assert await pools.find(PoolId("b" * 12)) is None
        with pytest.raises(PoolExists):
            await pools.create(pool(), GUEST)

    async def test_only_what_was_read_is_written_over(self, pools: PoolStore) -> None:
        await pools.create(pool(), OWNER)
        first = await pools.find(PoolId("a" * 12))
        assert first is not None

        await pools.replace(first, replace(pool(), status=PoolStatus.CLOSING))
        with pytest.raises(PoolChanged):
            await pools.replace(first, pool())
        assert [one.pool_id for one in await pools.closing(after=None)] == [PoolId("a" * 12)]
        assert await pools.closing(after=PoolId("a" * 12)) == []

    async def test_only_open_public_pools_are_listed(self, pools: PoolStore) -> None:
        for one in (pool("a"), pool("b", public=False), replace(pool("c"), status=PoolStatus.CLOSED), pool("d")):
            await pools.create(one, OWNER)

        assert await pools.public(after=None) == [pool("a"), pool("d")]
        assert await pools.public(after=PoolId("a" * 12)) == [pool("d")]

    async def test_whoever_left_is_no_member_and_is_remembered(self, pools: PoolStore) -> None:
        await pools.create(pool(), OWNER)
        await pools.put_members(PoolId("a" * 12), [(None, GUEST)])
        kept = await pools.member(PoolId("a" * 12), BEN)
        assert await pools.members(PoolId("a" * 12)) == [OWNER, GUEST]
        assert await pools.joined_by(BEN) == [PoolId("a" * 12)]

        gone = replace(GUEST, standing=Standing.LEFT)
        await pools.put_members(PoolId("a" * 12), [(kept, gone)])
        assert await pools.members(PoolId("a" * 12)) == [OWNER]
        assert await pools.joined_by(BEN) == []
        assert member_of(await pools.member(PoolId("a" * 12), BEN)) == gone

    async def test_people_are_written_over_as_they_were_read_all_or_none(self, pools: PoolStore) -> None:
        """Else who leaves while they are removed would undo the removal, and a pool could have two owners."""
        a = PoolId("a" * 12)
        await pools.create(pool(), OWNER)
        await pools.put_members(a, [(None, GUEST)])
        owner, guest = await pools.member(a, ADA), await pools.member(a, BEN)
        barred = replace(GUEST, standing=Standing.BARRED)
        await pools.put_members(a, [(guest, barred)])

        former, heir = replace(OWNER, role=Role.MANAGER), replace(GUEST, role=Role.OWNER)
        for stale in ([(guest, GUEST)], [(None, GUEST)], [(owner, former), (guest, heir)]):
            with pytest.raises(PoolChanged):
                await pools.put_members(a, stale)
        assert member_of(await pools.member(a, ADA)) == OWNER
        assert member_of(await pools.member(a, BEN)) == barred

    async def test_an_invitation_is_used_once_for_each_member(self, pools: PoolStore) -> None:
        """Both or neither, and by whoever saw it as it stands."""
        await pools.create(pool(), OWNER)
        await pools.create_invitation(invitation())
        with pytest.raises(PoolExists):
            await pools.create_invitation(invitation())
        kept = await pools.invitation(InvitationId("i" * 12))
        assert kept is not None
        assert kept.invitation == invitation()

        await pools.admit(kept, (None, GUEST))
        for change in ((None, replace(GUEST, user_id=UserId("clara"))), (None, GUEST)):
            with pytest.raises(PoolChanged):
                await pools.admit(kept, change)
        used = await pools.invitation(InvitationId("i" * 12))
        assert used is not None
        assert used.invitation.uses == 1
        assert await pools.members(PoolId("a" * 12)) == [OWNER, GUEST]
        assert await pools.invitation(InvitationId("j" * 12)) is None

    async def test_invitations_are_listed_by_pool_and_a_revoked_one_is_not_used(self, pools: PoolStore) -> None:
        await pools.create(pool(), OWNER)
        for one in (invitation("i"), invitation("j"), replace(invitation("k"), pool_id=PoolId("b" * 12))):
            await pools.create_invitation(one)
        kept = await pools.invitation(InvitationId("i" * 12))
        assert kept is not None
        revoked = replace(invitation("i"), revoked_by=ADA)

        await pools.replace_invitation(kept, revoked)
        with pytest.raises(PoolChanged):
            await pools.admit(kept, (None, GUEST))
        assert await pools.invitations(PoolId("a" * 12), after=None) == [revoked, invitation("j")]
        assert await pools.invitations(PoolId("a" * 12), after=InvitationId("i" * 12)) == [invitation("j")]


class TestInMemory(PoolsContract):
    @pytest.fixture
    def pools(self) -> MemoryPools:
        return MemoryPools()


class TestInFirestore(PoolsContract):
    @pytest.fixture
    async def pools(self, stack: Stack, project_id: str) -> AsyncIterator[FirestorePools]:
        async with firestore_at(stack.firestore_address, project_id) as client:
            yield FirestorePools(client)


async def test_a_store_that_does_not_answer_is_a_refusal_to_be_repeated() -> None:
    async with firestore_at("127.0.0.1:1", "demo-nobody") as client:
        pools = FirestorePools(client)
        for attempt in (
            pools.find(PoolId("a" * 12)),
            pools.public(after=None),
            pools.put_members(PoolId("a" * 12), [(None, GUEST)]),
        ):
            with pytest.raises(PoolsUnavailable):
                await attempt
