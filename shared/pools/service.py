"""What people do with pools: create, change, join, put in, take out. Every verb may be repeated."""

import secrets
from contextlib import suppress

from msgspec.structs import replace

from shared.base.clock import Clock
from shared.base.ids import UserId
from shared.base.log import write_line
from shared.ledger import shares
from shared.ledger.errors import KeyReused, NothingToMove
from shared.ledger.models import Book, Origin
from shared.ledger.operation import Posted
from shared.ledger.pool_errors import PoolFull, StakeAbsent
from shared.ledger.pools import PoolLedger, wallet_of
from shared.ledger.service import Ledger
from shared.pools import rules
from shared.pools.errors import PoolAbsent, PoolsBusy
from shared.pools.models import (
    Member,
    MemberState,
    Pool,
    PoolChanges,
    PoolId,
    PoolState,
    PoolStatus,
    PoolTerms,
    Role,
    Standing,
)
from shared.pools.store import KeptMember, KeptPool, PoolChanged, PoolExists, PoolStore, member_of

CHANGES_MAX = 5
"""Tries of one change against others of the same document at the same moment."""


class Pools:
    """Pools of people."""

    def __init__(
        self,
        ledger: Ledger,
        pool_ledger: PoolLedger,
        store: PoolStore,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._pools = pool_ledger
        self._store = store
        self._clock = clock

    async def create(self, owner: UserId, terms: PoolTerms, *, key: str) -> Pool:
        """A pool whose only member is its owner. Raise PublicNeedsLimit, AccountAbsent or KeyReused."""
        rules.check_terms(terms)
        pool_id, request_hash = rules.pool_id_of(owner, key), rules.request_hash(terms)
        if kept := await self._store.find(pool_id):
            return _same(kept.pool, request_hash)
        await self._ledger.head(wallet_of(owner))
        at_ms = self._clock()
        pool = Pool(pool_id, PoolStatus.OPEN, terms, at_ms, request_hash)
        # If we die here or below, there is an account that nobody can find; a repeat names the same one.
        await self._pools.open(pool.account_id)
        await self._pools.seat(pool.account_id, owner, None, members_max=terms.members_max)
        try:
            await self._store.create(pool, Member(owner, Role.OWNER, Standing.IN, None, at_ms))
        except PoolExists:
            raise PoolsBusy from None
        write_line("INFO", "pool_created", pool=pool_id)
        return pool

    async def change(self, actor: UserId, pool_id: PoolId, changes: PoolChanges) -> Pool:
        """Change what a pool says of itself. Raise PoolAbsent, RoleMissing, PublicNeedsLimit or PoolEnding."""
        for _ in range(CHANGES_MAX):
            kept, member = await self._belonging(actor, pool_id)
            rules.check_manages(member)
            rules.check_open(kept.pool)
            pool = replace(kept.pool, terms=rules.changed(kept.pool.terms, changes))
            with suppress(PoolChanged):
                await self._store.replace(kept, pool)
                return pool
        raise PoolsBusy

    async def public(self, *, after: PoolId | None) -> list[Pool]:
        """A page of the pools that anybody may join."""
        return await self._store.public(after=after)

    async def joined_by(self, user_id: UserId) -> list[Pool]:
        """The pools that somebody is in, the first hundred of them."""
        found = [await self._store.find(pool_id) for pool_id in await self._store.joined_by(user_id)]
        return [kept.pool for kept in found if kept]

    async def get(self, user_id: UserId, pool_id: PoolId) -> PoolState:
        """A pool as this person may see it. Raise PoolAbsent."""
        kept, me = await self._store.find(pool_id), member_of(await self._store.member(pool_id, user_id))
        belongs = me is not None and me.standing is Standing.IN
        if kept is None or not (belongs or kept.pool.terms.public):
            raise PoolAbsent
        book = await self._pools.book(kept.pool.account_id)
        seats = sum(stake.seated for stake in book.stakes)
        if me is None or not belongs:
            return PoolState(kept.pool, seats)
        return PoolState(
            kept.pool,
            seats,
            balance_micros=sum(shares.lots_of(book).values()),
            drawable_micros=shares.drawable_micros(book, user_id, self._clock()),
            me=_state(me, book),
            members=tuple([_state(member, book) for member in await self._store.members(pool_id)]),
        )

    async def join(self, user_id: UserId, pool_id: PoolId, code: str | None) -> Member:
        """Become a member of a public pool, or of one that the code is an invitation to.

        Raise PoolAbsent, PoolEnding, PoolFull, MemberBarred, InvitationWrong, or AccountAbsent without a wallet.
        """
        for _ in range(CHANGES_MAX):
            kept, found = await self._store.find(pool_id), await self._store.member(pool_id, user_id)
            member = member_of(found)
            rules.check_not_barred(member)
            if kept is None:
                raise PoolAbsent
            if member is None or member.standing is not Standing.IN:
                if code is None and not kept.pool.terms.public:
                    raise PoolAbsent
                try:
                    member = await self._admit(kept.pool, user_id, found, code)
                except PoolChanged:
                    continue
            await self._seat(kept.pool, member)
            return member
        raise PoolsBusy

    async def contribute(
        self, user_id: UserId, pool_id: PoolId, amount_micros: int, *, origin: Origin | None, key: str
    ) -> Posted:
        """Put credits of one's wallet in, once per key. Raise PoolAbsent, PoolEnding, or what the ledger says."""
        kept, _ = await self._belonging(user_id, pool_id)
        rules.check_open(kept.pool)
        facts = {"reason": "pool contribution", "pool": pool_id}
        account_id = kept.pool.account_id
        return await self._pools.contribute(account_id, user_id, amount_micros, origin=origin, key=key, facts=facts)

    async def withdraw(self, user_id: UserId, pool_id: PoolId, amount_micros: int, *, key: str) -> Posted:
        """Take out of one's own, member or not any more, once per key. Raise PoolAbsent, CreditTooLow or KeyReused."""
        kept, member = await self._store.find(pool_id), await self._store.member(pool_id, user_id)
        if kept is None or member is None:
            raise PoolAbsent
        facts = {"reason": "pool withdrawal", "pool": pool_id}
        return await self._pools.take_out(kept.pool.account_id, user_id, amount_micros, key=key, facts=facts)

    async def _admit(self, pool: Pool, user_id: UserId, former: KeptMember | None, code: str | None) -> Member:
        """Let somebody in. Who comes back has the limit that they left with, or leaving would lift it.

        Raise PoolChanged when they, or the invitation, are not as they were read.
        """
        rules.check_open(pool)
        await self._ledger.head(wallet_of(user_id))
        limit = former.member.limit if former else pool.terms.member_limit
        member = Member(user_id, Role.MEMBER, Standing.IN, limit, self._clock())
        await self._check_room(pool)
        if code is None:
            await self._store.put_members(pool.pool_id, [(former, member)])
            return member
        parsed = rules.parse_code(code)
        kept = await self._store.invitation(parsed.invitation_id)
        inviter = await self._store.member(pool.pool_id, kept.invitation.invited_by) if kept else None
        invitation = kept.invitation if kept else None
        rules.check_invitation(invitation, parsed, pool.pool_id, member_of(inviter), self._clock())
        if kept:
            await self._store.admit(kept, (former, member))
        return member

    async def _seat(self, pool: Pool, member: Member) -> None:
        """Give a member their seat. Raise PoolFull, PoolEnding, MemberBarred or PoolAbsent."""
        # If we die here, they belong to the pool and can put nothing in; a repeat seats them.
        await self._pools.seat(pool.account_id, member.user_id, member.limit, members_max=pool.terms.members_max)
        now = member_of(await self._store.member(pool.pool_id, member.user_id))
        if now is None or now.standing is not Standing.IN:
            # They were removed, or left, while this went on, and their seat was taken before it was given.
            with suppress(NothingToMove, StakeAbsent):
                key, facts = secrets.token_hex(16), {"reason": "pool left"}
                await self._pools.leave(pool.account_id, member.user_id, key=key, facts=facts)
            rules.check_not_barred(now)
            raise PoolAbsent

    async def _check_room(self, pool: Pool) -> None:
        """Refuse before an invitation is used up. Seating itself decides in the end."""
        book = await self._pools.book(pool.account_id)
        if sum(stake.seated for stake in book.stakes) >= pool.terms.members_max:
            raise PoolFull

    async def _belonging(self, user_id: UserId, pool_id: PoolId) -> tuple[KeptPool, Member]:
        member = rules.check_belongs(member_of(await self._store.member(pool_id, user_id)))
        kept = await self._store.find(pool_id)
        if kept is None:
            raise PoolAbsent
        return kept, member


def _same(pool: Pool, request_hash: str) -> Pool:
    if pool.request_hash != request_hash:
        raise KeyReused
    return pool


def _state(member: Member, book: Book) -> MemberState:
    return MemberState(member, shares.stake_of(book, member.user_id))
