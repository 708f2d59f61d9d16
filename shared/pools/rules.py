"""Pure decisions about pools: ids, codes of invitations, and who may do what to whom."""

import base64
import hashlib
import hmac
import re

import msgspec
from msgspec import UNSET, Struct, structs

from shared.base.ids import UserId
from shared.base.secret import Secret
from shared.ledger.pool_errors import PoolEnding
from shared.pools.errors import InvitationWrong, MemberBarred, OwnerStays, PoolAbsent, PublicNeedsLimit, RoleMissing
from shared.pools.models import (
    Invitation,
    InvitationId,
    Member,
    Pool,
    PoolChanges,
    PoolId,
    PoolStatus,
    PoolTerms,
    Role,
    SessionOrder,
    Standing,
)

ID_CHARS = 12
"""Sixty bits: two pools of one id are a matter of chance, and the later one is refused."""
SECRET_BYTES = 32
CODE_PREFIX = "inv_"
_CODE = re.compile(CODE_PREFIX + r"([a-z2-7]{12})_([A-Za-z0-9_-]{43})")
_NO_HASH = "0" * 64


class Code(Struct, frozen=True):
    """An invitation's code taken apart."""

    invitation_id: InvitationId
    secret: Secret


def pool_id_of(owner: UserId, idempotency_key: str) -> PoolId:
    """The id of the pool that this request creates: a repeat names the same pool."""
    digest = hashlib.sha256(f"credence.pool.v1:{len(owner)}:{owner}:{idempotency_key}".encode()).digest()
    return PoolId(base64.b32encode(digest).decode().lower()[:ID_CHARS])


def invitation_id_from(entropy: bytes) -> InvitationId:
    """The public part of a new code."""
    return InvitationId(base64.b32encode(entropy).decode().lower()[:ID_CHARS])


def format_code(invitation_id: InvitationId, secret: Secret) -> Secret:
    """The code that is shown once."""
    return Secret(f"{CODE_PREFIX}{invitation_id}_{secret.reveal()}")


def parse_code(text: str) -> Code:
    """Raise InvitationWrong for what has not the form of a code."""
    parts = _CODE.fullmatch(text)
    if parts is None:
        raise InvitationWrong
    return Code(InvitationId(parts[1]), Secret(parts[2]))


def hash_secret(secret: Secret) -> str:
    """What is stored of a secret of 256 random bits; one round is enough for what nobody guesses."""
    return hashlib.sha256(secret.reveal().encode()).hexdigest()


def check_invitation(
    invitation: Invitation | None, code: Code, pool_id: PoolId, inviter: Member | None, at_ms: int
) -> Invitation:
    """Raise InvitationWrong unless the code lets one more into this pool now. Why not, it does not say.

    It is worth as much as whoever made it may do now: a manager who was removed lets nobody in any more.
    """
    expected = invitation.secret_hash if invitation else _NO_HASH
    same = hmac.compare_digest(hash_secret(code.secret), expected)
    if (
        invitation is None
        or not same
        or invitation.pool_id != pool_id
        or not is_good(invitation, at_ms)
        or inviter is None
        or inviter.standing is not Standing.IN
        or inviter.role is Role.MEMBER
    ):
        raise InvitationWrong
    return invitation


def is_good(invitation: Invitation, at_ms: int) -> bool:
    """Whether an invitation lets anybody in any more."""
    used_up = invitation.uses >= invitation.uses_max
    return not used_up and invitation.expires_at_ms > at_ms and invitation.revoked_by is None


def check_terms(terms: PoolTerms) -> None:
    """Raise PublicNeedsLimit where strangers could join and draw all that others put in."""
    if terms.public and terms.member_limit is None:
        raise PublicNeedsLimit


def check_open(pool: Pool) -> None:
    """Raise PoolEnding once its closing has begun."""
    if pool.status is not PoolStatus.OPEN:
        raise PoolEnding


def check_belongs(member: Member | None) -> Member:
    """Raise PoolAbsent for whoever is not in the pool: what they may not see is not there."""
    if member is None or member.standing is not Standing.IN:
        raise PoolAbsent
    return member


def check_not_barred(member: Member | None) -> None:
    """Raise MemberBarred for whoever was removed."""
    if member is not None and member.standing is Standing.BARRED:
        raise MemberBarred


def check_manages(member: Member) -> None:
    """Raise RoleMissing for a member who is neither owner nor manager."""
    if member.role is Role.MEMBER:
        raise RoleMissing


def check_may_change(actor: Member, target: Member, role: Role | None) -> None:
    """Whether the actor may limit, remove or promote the target. Raise RoleMissing or OwnerStays.

    Managers act on members only, themselves excluded: a limit that one could lift from oneself is none.
    """
    check_manages(actor)
    owned = actor.role is Role.OWNER
    if target.role is Role.OWNER and (role is not None or not owned):
        raise OwnerStays if owned else RoleMissing
    if not owned and (target.role is not Role.MEMBER or role is not None):
        raise RoleMissing


def changed(terms: PoolTerms, changes: PoolChanges) -> PoolTerms:
    """The terms with what the changes name; the rest as it was. Raise PublicNeedsLimit."""
    named = {name: value for name, value in structs.asdict(changes).items() if value is not UNSET}
    after = structs.replace(terms, **named)
    check_terms(after)
    return after


def request_hash(asked: PoolTerms | SessionOrder) -> str:
    """All that makes two creations the same, but their time."""
    plain = {
        name: sorted(value) if isinstance(value, frozenset) else value for name, value in structs.asdict(asked).items()
    }
    return hashlib.sha256(msgspec.json.encode(plain, order="deterministic")).hexdigest()
