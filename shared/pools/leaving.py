"""How people part with a pool: leaving, being removed, and closing it. Each gives everybody what is theirs."""

import secrets
from contextlib import suppress

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from shared.base.ids import AccountId, UserId
from shared.base.log import write_line
from shared.ledger.errors import NothingToMove
from shared.ledger.models import SpendLimit
from shared.ledger.pool_errors import PoolEnding, PoolInUse, StakeAbsent
from shared.ledger.pools import PoolLedger
from shared.pools import rules
from shared.pools.errors import MemberAbsent, OwnerStays, PoolAbsent, PoolsBusy, RoleMissing
from shared.pools.models import Member, Pool, PoolId, PoolStatus, Role, Standing, account_of
from shared.pools.purse import SessionPurse
from shared.pools.sessions import Sessions
from shared.pools.store import KeptMember, KeptPool, PoolChanged, PoolStore, member_of

CHANGES_MAX = 5
"""Tries of one change against others of the same people at the same moment."""


class Parted(Struct, frozen=True):
    """The outcome of leaving."""

    returned_micros: int
    """What this call moved into the wallet of whoever left."""
    sessions_open: int
    """Their sessions that still wait for calls; what those leave follows by itself."""


class PoolClosed(Struct, frozen=True):
    """The outcome of a closing: `pool.status` says whether it is finished."""

    pool: Pool
    sessions_open: int


class Partings:
    """Members that go, and pools that end. Every verb may be repeated, and a repeat finishes what a dead try began."""

    def __init__(self, pool_ledger: PoolLedger, store: PoolStore, sessions: Sessions, purse: SessionPurse) -> None:
        self._pools = pool_ledger
        self._store = store
        self._sessions = sessions
        self._purse = purse

    async def leave(self, user_id: UserId, pool_id: PoolId) -> Parted:
        """Leave a pool with all that is one's own. Raise PoolAbsent, OwnerStays, or what the ledger raises."""
        for _ in range(CHANGES_MAX):
            kept, found = await self._store.find(pool_id), await self._store.member(pool_id, user_id)
            if kept is None or found is None:
                raise PoolAbsent
            if found.member.role is Role.OWNER:
                raise OwnerStays
            if found.member.standing is Standing.IN:
                try:
                    await self._put(pool_id, found, standing=Standing.LEFT)
                except PoolChanged:
                    # Whoever removed them meanwhile, say, must not be undone by their leaving.
                    continue
            return await self._part(kept.pool, user_id)
        raise PoolsBusy

    async def change_member(
        self,
        actor: UserId,
        pool_id: PoolId,
        user_id: UserId,
        *,
        role: Role | None = None,
        limit: SpendLimit | UnsetType | None = UNSET,
        barred: bool | None = None,
    ) -> Member:
        """Give a member another role or limit, remove them for good, or let one who was removed come back.

        Giving a member the role of the owner hands the pool over: the owner is a manager from then on. Raise
        PoolAbsent, MemberAbsent, RoleMissing, OwnerStays or PoolsBusy.
        """
        for _ in range(CHANGES_MAX):
            doer = await self._store.member(pool_id, actor)
            kept, found = await self._store.find(pool_id), await self._store.member(pool_id, user_id)
            rules.check_manages(rules.check_belongs(member_of(doer)))
            if kept is None or found is None or doer is None:
                raise MemberAbsent
            if role is Role.OWNER and found.member.role is Role.OWNER:
                return found.member
            rules.check_may_change(doer.member, found.member, role)
            try:
                if barred is not None:
                    return await self._bar(kept.pool, found, barred)
                return await self._change(kept.pool, doer, found, role, limit)
            except PoolChanged:
                continue
        raise PoolsBusy

    async def lend(self, user_id: UserId, pool_id: PoolId, lends: bool) -> Member:
        """Let the others draw one's own paid credits from now on, or not. Raise PoolAbsent."""
        member = rules.check_belongs(member_of(await self._store.member(pool_id, user_id)))
        await self._pools.lend(account_of(pool_id), user_id, lends)
        return member

    async def close(self, actor: UserId, pool_id: PoolId) -> PoolClosed:
        """End the pool and give everybody what is theirs. Raise PoolAbsent or RoleMissing.

        While calls of its sessions go on, it is `closing`: a repeat, or the timer, does the rest.
        """
        member = rules.check_belongs(member_of(await self._store.member(pool_id, actor)))
        if member.role is not Role.OWNER:
            raise RoleMissing
        kept = await self._store.find(pool_id)
        if kept is None:
            raise PoolAbsent
        if kept.pool.status is PoolStatus.OPEN:
            kept = await self._write(kept, replace(kept.pool, status=PoolStatus.CLOSING))
        return await self.finish(kept)

    async def finish(self, kept: KeptPool) -> PoolClosed:
        """Go on with a closing from wherever it is."""
        pool = kept.pool
        if pool.status is PoolStatus.CLOSED:
            return PoolClosed(pool, sessions_open=0)
        await self._pools.end(pool.account_id)
        # From here on nothing more is drawn. If we die anywhere below, a repeat finds what is left.
        waiting = await self._sessions.end_all(pool.pool_id)
        await self._purse.send_home(pool.account_id)
        try:
            await self._pools.close(pool.account_id, facts={"reason": "pool closed"})
        except PoolInUse:
            return PoolClosed(pool, sessions_open=waiting)
        closed = replace(pool, status=PoolStatus.CLOSED)
        await self._write(kept, closed)
        write_line("INFO", "pool_closed", pool=pool.pool_id)
        return PoolClosed(closed, sessions_open=0)

    async def _change(
        self, pool: Pool, doer: KeptMember, found: KeptMember, role: Role | None, limit: SpendLimit | UnsetType | None
    ) -> Member:
        """Raise MemberAbsent, or PoolChanged when either of them is not as they were read."""
        member = found.member
        if member.standing is not Standing.IN:
            raise MemberAbsent
        if not isinstance(limit, UnsetType):
            # First where it is enforced: if we die here, the old one is shown, and a repeat shows the new.
            await self._pools.relimit(pool.account_id, member.user_id, limit)
            member = replace(member, limit=limit)
        after = replace(member, role=role or member.role)
        changes = [(found, after)]
        if role is Role.OWNER:
            # Both or neither: a pool has one owner at every moment.
            changes.append((doer, replace(doer.member, role=Role.MANAGER)))
        await self._store.put_members(pool.pool_id, changes)
        if role is Role.OWNER:
            write_line("INFO", "pool_handed_over", pool=pool.pool_id)
        return after

    async def _bar(self, pool: Pool, found: KeptMember, barred: bool) -> Member:
        member = found.member
        if member.role is Role.OWNER:
            raise OwnerStays
        if not barred:
            standing = Standing.LEFT if member.standing is Standing.BARRED else member.standing
            return await self._put(pool.pool_id, found, standing=standing)
        # First, so that nothing new begins; if we die here, a repeat takes the seat.
        after = await self._put(pool.pool_id, found, standing=Standing.BARRED, role=Role.MEMBER)
        await self._part(pool, member.user_id)
        return after

    async def _put(self, pool_id: PoolId, found: KeptMember, **fields: Standing | Role) -> Member:
        after = replace(found.member, **fields)
        await self._store.put_members(pool_id, [(found, after)])
        return after

    async def _part(self, pool: Pool, user_id: UserId) -> Parted:
        """Take the seat, then end what the member still has open, then give them what that left."""
        returned = await self._take_seat(pool.account_id, user_id)
        waiting = await self._sessions.end_all(pool.pool_id, user_id)
        return Parted(returned + await self._take_seat(pool.account_id, user_id), sessions_open=waiting)

    async def _take_seat(self, account_id: AccountId, user_id: UserId) -> int:
        # Each try has a key of its own: what an earlier one moved is not there to move again.
        with suppress(NothingToMove, StakeAbsent):
            return await self._pools.leave(
                account_id, user_id, key=secrets.token_hex(16), facts={"reason": "pool left"}
            )
        return 0

    async def _write(self, kept: KeptPool, pool: Pool) -> KeptPool:
        try:
            await self._store.replace(kept, pool)
        except PoolChanged:
            raise PoolsBusy from None
        found = await self._store.find(pool.pool_id)
        if found is None:
            raise PoolEnding
        return found
