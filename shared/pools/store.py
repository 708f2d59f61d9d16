"""Where pools are kept. Whose their credits are stands in the ledger and not here.

`pools/{pool}` is a pool's face, `pools/{pool}/pool_members/{user}` who belongs to it, and `pool_invites/{invitation}`,
which no client reads, whom it lets in.
"""

from collections.abc import Sequence
from typing import NewType, Protocol

from google.api_core import exceptions as google_errors
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from msgspec import Struct, structs

from shared.base.ids import UserId
from shared.pools.documents import (
    Snapshot,
    invitation_document,
    invitation_from,
    member_document,
    member_from,
    pool_document,
    pool_from,
)
from shared.pools.errors import PoolsUnavailable
from shared.pools.models import (
    Invitation,
    InvitationId,
    Member,
    Pool,
    PoolId,
    PoolStatus,
    Standing,
)

TIMEOUT_S = 5.0
PAGE_MAX = 100

Version = NewType("Version", object)
"""Opaque: names one state of one document."""


class PoolExists(Exception):
    """There is a pool, an invitation or a member of this id already."""


class PoolChanged(Exception):
    """The document is no longer what was read."""


class KeptPool(Struct, frozen=True):
    """A pool as it was read, with the version that a later write must still find."""

    pool: Pool
    version: Version


class KeptMember(Struct, frozen=True):
    """Somebody's part in a pool as it was read."""

    member: Member
    version: Version


def member_of(kept: KeptMember | None) -> Member | None:
    """Who it is, if anybody was found."""
    return kept.member if kept else None


class KeptInvitation(Struct, frozen=True):
    """An invitation as it was read."""

    invitation: Invitation
    version: Version


Change = tuple[KeptMember | None, Member]
"""What was read of somebody, None for nothing, and what they become."""


class PoolStore(Protocol):
    """What pools ask of a store. All raise PoolsUnavailable; then a write may or may not have been made."""

    async def create(self, pool: Pool, owner: Member) -> None:
        """Both at once. Raise PoolExists."""

    async def replace(self, kept: KeptPool, pool: Pool) -> None:
        """Write over exactly what was read. Raise PoolChanged."""

    async def find(self, pool_id: PoolId) -> KeptPool | None:
        """The pool as it stands now."""

    async def public(self, *, after: PoolId | None) -> list[Pool]:
        """At most PAGE_MAX open public pools in the order of their ids, beginning behind `after`."""

    async def closing(self, *, after: PoolId | None) -> list[Pool]:
        """At most PAGE_MAX pools whose closing is not finished; ordered and begun as above."""

    async def joined_by(self, user_id: UserId) -> list[PoolId]:
        """At most PAGE_MAX pools that somebody is in."""

    async def member(self, pool_id: PoolId, user_id: UserId) -> KeptMember | None:
        """Somebody's part in a pool, whatever their standing."""

    async def members(self, pool_id: PoolId) -> list[Member]:
        """Who is in the pool, in the order of their ids."""

    async def put_members(self, pool_id: PoolId, changes: Sequence[Change]) -> None:
        """Write each over exactly what was read of them, all or none. Raise PoolChanged."""

    async def create_invitation(self, invitation: Invitation) -> None:
        """Raise PoolExists."""

    async def invitation(self, invitation_id: InvitationId) -> KeptInvitation | None:
        """The invitation as it stands now."""

    async def invitations(self, pool_id: PoolId, *, after: InvitationId | None) -> list[Invitation]:
        """At most PAGE_MAX invitations to a pool in the order of their ids, beginning behind `after`."""

    async def replace_invitation(self, kept: KeptInvitation, invitation: Invitation) -> None:
        """Write over exactly what was read. Raise PoolChanged."""

    async def admit(self, kept: KeptInvitation, change: Change) -> None:
        """Use the invitation once and make somebody a member, both or neither. Raise PoolChanged."""


class FirestorePools:
    """The same in Firestore."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def create(self, pool: Pool, owner: Member) -> None:
        batch = self._client.batch()
        batch.create(self._pool(pool.pool_id), pool_document(pool))
        batch.set(self._member(pool.pool_id, owner.user_id), member_document(owner))
        await self._commit(batch)

    async def replace(self, kept: KeptPool, pool: Pool) -> None:
        batch = self._client.batch()
        unchanged = self._client.write_option(last_update_time=kept.version)
        batch.update(self._pool(pool.pool_id), pool_document(pool), option=unchanged)
        await self._commit(batch)

    async def find(self, pool_id: PoolId) -> KeptPool | None:
        found = await self._get(self._pool(pool_id))
        return KeptPool(pool_from(found), Version(found.update_time)) if found.exists else None

    async def public(self, *, after: PoolId | None) -> list[Pool]:
        pools = self._client.collection("pools")
        shown = pools.where(filter=FieldFilter("public", "==", True))
        return await self._page(shown.where(filter=FieldFilter("status", "==", PoolStatus.OPEN.value)), after)

    async def closing(self, *, after: PoolId | None) -> list[Pool]:
        pools = self._client.collection("pools")
        return await self._page(pools.where(filter=FieldFilter("status", "==", PoolStatus.CLOSING.value)), after)

    async def joined_by(self, user_id: UserId) -> list[PoolId]:
        query = (
            self._client.collection_group("pool_members")
            .where(filter=FieldFilter("user", "==", user_id))
            .where(filter=FieldFilter("standing", "==", Standing.IN.value))
        )
        return [PoolId(one.reference.parent.parent.id) for one in await self._all(query)]

    async def member(self, pool_id: PoolId, user_id: UserId) -> KeptMember | None:
        found = await self._get(self._member(pool_id, user_id))
        return KeptMember(member_from(found), Version(found.update_time)) if found.exists else None

    async def members(self, pool_id: PoolId) -> list[Member]:
        belonging = FieldFilter("standing", "==", Standing.IN.value)
        query = self._members(pool_id).where(filter=belonging).order_by("__name__")
        return [member_from(one) for one in await self._all(query)]

    async def put_members(self, pool_id: PoolId, changes: Sequence[Change]) -> None:
        batch = self._client.batch()
        for change in changes:
            self._put(batch, pool_id, change)
        await self._commit_over(batch)

    async def create_invitation(self, invitation: Invitation) -> None:
        batch = self._client.batch()
        batch.create(self._invitation(invitation.invitation_id), invitation_document(invitation))
        await self._commit(batch)

    async def invitation(self, invitation_id: InvitationId) -> KeptInvitation | None:
        found = await self._get(self._invitation(invitation_id))
        return KeptInvitation(invitation_from(found), Version(found.update_time)) if found.exists else None

    async def invitations(self, pool_id: PoolId, *, after: InvitationId | None) -> list[Invitation]:
        query = self._client.collection("pool_invites").where(filter=FieldFilter("pool", "==", pool_id))
        ordered = query.order_by("__name__")
        if after is not None:
            ordered = ordered.start_after({"__name__": self._invitation(after)})
        return [invitation_from(one) for one in await self._all(ordered)]

    async def replace_invitation(self, kept: KeptInvitation, invitation: Invitation) -> None:
        batch = self._client.batch()
        self._put_invitation(batch, kept, invitation)
        await self._commit_over(batch)

    async def admit(self, kept: KeptInvitation, change: Change) -> None:
        invitation = kept.invitation
        batch = self._client.batch()
        self._put_invitation(batch, kept, structs.replace(invitation, uses=invitation.uses + 1))
        self._put(batch, invitation.pool_id, change)
        await self._commit_over(batch)

    def _put(self, batch: firestore.AsyncWriteBatch, pool_id: PoolId, change: Change) -> None:
        kept, member = change
        reference, fields = self._member(pool_id, member.user_id), member_document(member)
        if kept is None:
            batch.create(reference, fields)
        else:
            batch.update(reference, fields, option=self._client.write_option(last_update_time=kept.version))

    def _put_invitation(self, batch: firestore.AsyncWriteBatch, kept: KeptInvitation, invitation: Invitation) -> None:
        unchanged = self._client.write_option(last_update_time=kept.version)
        batch.update(self._invitation(invitation.invitation_id), invitation_document(invitation), option=unchanged)

    async def _page(self, query: firestore.AsyncQuery, after: PoolId | None) -> list[Pool]:
        ordered = query.order_by("__name__")
        if after is not None:
            ordered = ordered.start_after({"__name__": self._pool(after)})
        return [pool_from(one) for one in await self._all(ordered)]

    async def _all(self, query: firestore.AsyncQuery) -> list[Snapshot]:
        try:
            return [one async for one in query.limit(PAGE_MAX).stream(retry=None, timeout=TIMEOUT_S)]
        except google_errors.GoogleAPICallError as error:
            raise PoolsUnavailable from error

    async def _get(self, reference: firestore.AsyncDocumentReference) -> Snapshot:
        try:
            return await reference.get(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise PoolsUnavailable from error

    async def _commit_over(self, batch: firestore.AsyncWriteBatch) -> None:
        """Raise PoolChanged for whatever is not as it was read, be it there or gone."""
        try:
            await self._commit(batch)
        except PoolExists:
            raise PoolChanged from None

    async def _commit(self, batch: firestore.AsyncWriteBatch) -> None:
        try:
            await batch.commit(retry=None, timeout=TIMEOUT_S)
        except google_errors.Aborted as error:
            # Another writer was in the way; nothing was written.
            raise PoolsUnavailable from error
        except google_errors.Conflict:
            raise PoolExists from None
        except (google_errors.FailedPrecondition, google_errors.NotFound):
            raise PoolChanged from None
        except google_errors.GoogleAPICallError as error:
            raise PoolsUnavailable from error

    def _pool(self, pool_id: PoolId) -> firestore.AsyncDocumentReference:
        return self._client.collection("pools").document(pool_id)

    def _member(self, pool_id: PoolId, user_id: UserId) -> firestore.AsyncDocumentReference:
        return self._members(pool_id).document(user_id)

    def _members(self, pool_id: PoolId) -> firestore.AsyncCollectionReference:
        return self._client.collection(f"pools/{pool_id}/pool_members")

    def _invitation(self, invitation_id: InvitationId) -> firestore.AsyncDocumentReference:
        return self._client.collection("pool_invites").document(invitation_id)
