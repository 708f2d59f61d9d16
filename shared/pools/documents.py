"""How pools, members and invitations are written in Firestore, and read from it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import to_builtins

from shared.base.ids import UserId
from shared.base.periods import Period
from shared.ledger.models import SpendLimit
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

Snapshot = Any
"""A document as the client library reads it; its type there bears a parameter that means nothing here."""


def pool_document(pool: Pool) -> dict[str, Any]:
    """A pool's face as it is kept, without its id."""
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


def pool_from(found: Snapshot) -> Pool:
    """A pool as it was kept."""
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


def member_document(member: Member) -> dict[str, Any]:
    """A member as they are kept."""
    return {
        "user": member.user_id,
        "role": member.role.value,
        "standing": member.standing.value,
        "limit": to_builtins(member.limit),
        "joined_at_ms": member.joined_at_ms,
    }


def member_from(found: Snapshot) -> Member:
    """A member as they were kept."""
    fields = found.to_dict() or {}
    return Member(
        UserId(fields["user"]),
        Role(fields["role"]),
        Standing(fields["standing"]),
        _limit_from(fields["limit"]),
        fields["joined_at_ms"],
    )


def invitation_document(invitation: Invitation) -> dict[str, Any]:
    """An invitation as it is kept, and when it may be forgotten."""
    return {
        "pool": invitation.pool_id,
        "secret_hash": invitation.secret_hash,
        "uses_max": invitation.uses_max,
        "uses": invitation.uses,
        "expires_at_ms": invitation.expires_at_ms,
        "invited_by": invitation.invited_by,
        "revoked_by": invitation.revoked_by,
        "delete_at": datetime.fromtimestamp(invitation.expires_at_ms / 1000, UTC),
    }


def invitation_from(found: Snapshot) -> Invitation:
    """An invitation as it was kept."""
    fields = found.to_dict() or {}
    return Invitation(
        InvitationId(found.id),
        PoolId(fields["pool"]),
        fields["secret_hash"],
        fields["uses_max"],
        fields["uses"],
        fields["expires_at_ms"],
        UserId(fields["invited_by"]),
        fields.get("revoked_by"),
    )


def _limit_from(fields: Mapping[str, Any] | None) -> SpendLimit | None:
    return SpendLimit(fields["amount_micros"], Period(fields["period"])) if fields else None
