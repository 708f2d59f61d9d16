"""Where pools are kept. Whose their credits are stands in the ledger and not here.

`pools/{pool}` is a pool's face, `pools/{pool}/pool_members/{user}` who belongs to it, and `pool_invites/{invitation}`,
which no client reads, whom it lets in.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NewType, Protocol

from google.api_core import exceptions as google_errors
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from msgspec import Struct, to_builtins

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

TIMEOUT_S = 5.0
PAGE_MAX = 100

Snapshot = Any
"""A document as the client library reads it; its type there bears a parameter that means nothing here."""
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


class KeptInvitation(Struct, frozen=True):
    """An invitation as it was read."""

    invitation: Invitation
    version: Version


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

    async def member(self, pool_id: PoolId, user_id: UserId) -> Member | None:
        """Somebody's part in a pool, whatever their standing."""

    async def members(self, pool_id: PoolId) -> list[Member]:
        """Who is in the pool, in the order of their ids."""

    async def put_member(self, pool_id: PoolId, member: Member) -> None:
        """Write over whatever there was."""

    async def create_invitation(self, invitation: Invitation) -> None:
        """Raise PoolExists."""

    async def invitation(self, invitation_id: InvitationId) -> KeptInvitation | None:
        """The invitation as it stands now."""

    async def admit(self, kept: KeptInvitation, member: Member) -> None:
        """Use the invitation once and make somebody a member, both or neither. Raise PoolChanged."""


class FirestorePools:
    """The same in Firestore."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def create(self, pool: Pool, owner: Member) -> None:
        batch = self._client.batch()
        batch.create(self._pool(pool.pool_id), _pool_document(pool))
        batch.set(self._member(pool.pool_id, owner.user_id), _member_document(owner))
        await self._commit(batch)

    async def replace(self, kept: KeptPool, pool: Pool) -> None:
        batch = self._client.batch()
        unchanged = self._client.write_option(last_update_time=kept.version)
        batch.update(self._pool(pool.pool_id), _pool_document(pool), option=unchanged)
        await self._commit(batch)

    async def find(self, pool_id: PoolId) -> KeptPool | None:
        found = await self._get(self._pool(pool_id))
        return KeptPool(_pool_from(found), Version(found.update_time)) if found.exists else None

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

    async def member(self, pool_id: PoolId, user_id: UserId) -> Member | None:
        found = await self._get(self._member(pool_id, user_id))
        return _member_from(found) if found.exists else None

    async def members(self, pool_id: PoolId) -> list[Member]:
        belonging = FieldFilter("standing", "==", Standing.IN.value)
        query = self._members(pool_id).where(filter=belonging).order_by("__name__")
        return [_member_from(one) for one in await self._all(query)]

    async def put_member(self, pool_id: PoolId, member: Member) -> None:
        batch = self._client.batch()
        batch.set(self._member(pool_id, member.user_id), _member_document(member))
        await self._commit(batch)

    async def create_invitation(self, invitation: Invitation) -> None:
        batch = self._client.batch()
        batch.create(self._invitation(invitation.invitation_id), _invitation_document(invitation))
        await self._commit(batch)

    async def invitation(self, invitation_id: InvitationId) -> KeptInvitation | None:
        found = await self._get(self._invitation(invitation_id))
        return KeptInvitation(_invitation_from(found), Version(found.update_time)) if found.exists else None

    async def admit(self, kept: KeptInvitation, member: Member) -> None:
        invitation = kept.invitation
        batch = self._client.batch()
        unchanged = self._client.write_option(last_update_time=kept.version)
        used = {"uses": invitation.uses + 1}
        batch.update(self._invitation(invitation.invitation_id), used, option=unchanged)
        batch.set(self._member(invitation.pool_id, member.user_id), _member_document(member))
        await self._commit(batch)

    async def _page(self, query: firestore.AsyncQuery, after: PoolId | None) -> list[Pool]:
        ordered = query.order_by("__name__")
        if after is not None:
            ordered = ordered.start_after({"__name__": self._pool(after)})
        return [_pool_from(one) for one in await self._all(ordered)]

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

    async def _commit(self, batch: firestore.AsyncWriteBatch) -> None:
        try:
            await batch.commit(retry=None, timeout=TIMEOUT_S)
        except google_errors.Aborted as error:
            # Another writer was in the way; nothing was written.
            raise PoolsUnavailable from error
        except google_errors.Conflict:
            raise PoolExists from None
        except google_errors.FailedPrecondition:
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


def _pool_document(pool: Pool) -> dict[str, Any]:
    terms = pool.terms
    return {
        "status": pool.status.value,
        "name": terms.name,
        "about": terms.about,
        "public": terms.public,
        "members_max": terms.members_max,
        "member_limit": to_builtins(terms.member_limit),
        "created_at_ms": pool.created_at_ms,
        "request_hash": pool.request_hash,
    }


def _pool_from(found: Snapshot) -> Pool:
    fields = found.to_dict() or {}
    terms = PoolTerms(
        name=fields["name"],
        about=fields["about"],
        public=fields["public"],
        members_max=fields["members_max"],
        member_limit=_limit_from(fields["member_limit"]),
    )
    status = PoolStatus(fields["status"])
    return Pool(PoolId(found.id), status, terms, fields["created_at_ms"], fields["request_hash"])


def _member_document(member: Member) -> dict[str, Any]:
    return {
        "user": member.user_id,
        "role": member.role.value,
        "standing": member.standing.value,
        "limit": to_builtins(member.limit),
        "joined_at_ms": member.joined_at_ms,
    }


def _member_from(found: Snapshot) -> Member:
    fields = found.to_dict() or {}
    return Member(
        UserId(fields["user"]),
        Role(fields["role"]),
        Standing(fields["standing"]),
        _limit_from(fields["limit"]),
        fields["joined_at_ms"],
    )


def _invitation_document(invitation: Invitation) -> dict[str, Any]:
    return {
        "pool": invitation.pool_id,
        "secret_hash": invitation.secret_hash,
        "uses_max": invitation.uses_max,
        "uses": invitation.uses,
        "expires_at_ms": invitation.expires_at_ms,
        "invited_by": invitation.invited_by,
        "delete_at": datetime.fromtimestamp(invitation.expires_at_ms / 1000, UTC),
    }


def _invitation_from(found: Snapshot) -> Invitation:
    fields = found.to_dict() or {}
    return Invitation(
        InvitationId(found.id),
        PoolId(fields["pool"]),
        fields["secret_hash"],
        fields["uses_max"],
        fields["uses"],
        fields["expires_at_ms"],
        UserId(fields["invited_by"]),
    )


def _limit_from(fields: Mapping[str, Any] | None) -> SpendLimit | None:
    return SpendLimit(fields["amount_micros"], Period(fields["period"])) if fields else None
