"""Invitations to pools: made, shown and revoked by whoever manages the pool."""

import secrets

from msgspec.structs import replace

from shared.base.clock import Clock
from shared.base.ids import UserId
from shared.base.log import write_line
from shared.base.secret import Secret
from shared.pools import rules
from shared.pools.errors import InvitationAbsent, InvitationsFull, PoolAbsent, PoolsBusy
from shared.pools.models import INVITATIONS_OPEN_MAX, Invitation, InvitationId, Invited, Pool, PoolId
from shared.pools.store import PAGE_MAX, PoolChanged, PoolExists, PoolStore, member_of

CHANGES_MAX = 5
"""Tries of one change against others of the same invitation at the same moment."""
PAGES_MAX = 10
"""Pages of a pool's invitations that are read to count the open ones. Those that are over are forgotten by and by."""


class Invitations:
    """Invitations of pools."""

    def __init__(self, store: PoolStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def invite(self, actor: UserId, pool_id: PoolId, *, uses_max: int, lifetime_ms: int) -> Invited:
        """An invitation, and its code, which is shown once; a repeat makes another.

        Of several that are made at the same moment a few may pass INVITATIONS_OPEN_MAX. Raise PoolAbsent, RoleMissing,
        PoolEnding or InvitationsFull.
        """
        rules.check_open(await self._managed(actor, pool_id))
        await self._check_room(pool_id)
        secret = Secret(secrets.token_urlsafe(rules.SECRET_BYTES))
        invitation = Invitation(
            rules.invitation_id_from(secrets.token_bytes(8)),
            pool_id,
            rules.hash_secret(secret),
            uses_max,
            0,
            self._clock() + lifetime_ms,
            actor,
        )
        try:
            await self._store.create_invitation(invitation)
        except PoolExists:
            raise PoolsBusy from None
        return Invited(invitation, rules.format_code(invitation.invitation_id, secret))

    async def of_pool(self, actor: UserId, pool_id: PoolId, *, after: InvitationId | None) -> list[Invitation]:
        """A page of a pool's invitations, those too that let nobody in any more until they are forgotten.

        Raise PoolAbsent or RoleMissing.
        """
        await self._managed(actor, pool_id)
        return await self._store.invitations(pool_id, after=after)

    async def revoke(self, actor: UserId, pool_id: PoolId, invitation_id: InvitationId) -> Invitation:
        """Let an invitation let in nobody more, whoever made it. A repeat answers the same.

        Raise PoolAbsent, RoleMissing or InvitationAbsent.
        """
        await self._managed(actor, pool_id)
        for _ in range(CHANGES_MAX):
            kept = await self._store.invitation(invitation_id)
            if kept is None or kept.invitation.pool_id != pool_id:
                raise InvitationAbsent
            if kept.invitation.revoked_by is not None:
                return kept.invitation
            revoked = replace(kept.invitation, revoked_by=actor)
            try:
                await self._store.replace_invitation(kept, revoked)
            except PoolChanged:
                # Somebody joined by it at the same moment.
                continue
            write_line("INFO", "invitation_revoked", pool=pool_id, invitation=invitation_id)
            return revoked
        raise PoolsBusy

    async def _check_room(self, pool_id: PoolId) -> None:
        """Raise InvitationsFull. Those that let nobody in any more take no room until there are very many."""
        open_count, after = 0, None
        for _ in range(PAGES_MAX):
            page = await self._store.invitations(pool_id, after=after)
            open_count += sum(rules.is_good(one, self._clock()) for one in page)
            if open_count >= INVITATIONS_OPEN_MAX:
                raise InvitationsFull
            if len(page) < PAGE_MAX:
                return
            after = page[-1].invitation_id
        raise InvitationsFull

    async def _managed(self, actor: UserId, pool_id: PoolId) -> Pool:
        rules.check_manages(rules.check_belongs(member_of(await self._store.member(pool_id, actor))))
        kept = await self._store.find(pool_id)
        if kept is None:
            raise PoolAbsent
        return kept.pool
