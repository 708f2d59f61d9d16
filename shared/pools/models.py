"""What a pool is: credits of several people on one account, and what each of them may do with it."""

from enum import StrEnum
from typing import NewType

from msgspec import UNSET, Struct, UnsetType

from shared.base.economy import DAY_MS
from shared.base.ids import AccountId, UserId
from shared.base.micros import credits_to_micros
from shared.base.periods import Period
from shared.base.secret import Secret
from shared.ledger.models import SpendLimit, Stake

PoolId = NewType("PoolId", str)
"""Twelve characters that name the pool in logs, paths and account ids."""
InvitationId = NewType("InvitationId", str)

MEMBERS_MAX = 100
"""Members of one pool: each has a row on the head of its account, which every posting rewrites."""
MEMBER_LIMIT_DEFAULT = SpendLimit(credits_to_micros(100), Period.DAY)
"""What a new member may draw of the others' credits where a pool says nothing of it: about a dollar. A member could
spend what is lent on a call whose earnings go to a friend, so a pool without a limit is one that says so."""
INVITATION_USES_MAX = MEMBERS_MAX
INVITATIONS_OPEN_MAX = 100
"""Invitations of one pool that still let somebody in: each can be looked over and revoked."""
INVITATION_LIFETIME_MS_MAX = 30 * DAY_MS
SESSION_LIFETIME_MS_MAX = DAY_MS
"""What a session drew is nobody else's until it is over, so it lasts a day at most."""


class Role(StrEnum):
    """What somebody may do with a pool beside using it."""

    OWNER = "owner"
    """Who created it, or was handed it: closes it, and says who manages it. There is always one."""
    MANAGER = "manager"
    """Invites, changes what it says of itself, limits and removes members."""
    MEMBER = "member"


class Standing(StrEnum):
    """Whether somebody belongs to a pool."""

    IN = "in"
    LEFT = "left"
    """Of their own will: they may come back, under the limit that they had."""
    BARRED = "barred"
    """Removed, and kept out until somebody lets them in again."""


class PoolStatus(StrEnum):
    """Where a pool stands."""

    OPEN = "open"
    CLOSING = "closing"
    """Nothing more is put in or drawn; what is on its members' cards is not back yet."""
    CLOSED = "closed"


class PoolTerms(Struct, frozen=True):
    """What a pool says of itself, and on what terms people join."""

    name: str
    about: str = ""
    public: bool = False
    """Whether anybody may see it and join; otherwise only whoever is invited."""
    members_max: int = MEMBERS_MAX
    member_limit: SpendLimit | None = None
    """What a new member may draw of the others' credits. Their own they may always draw."""


class PoolChanges(Struct, frozen=True, kw_only=True):
    """What becomes different of a pool. What is not named stays; None lifts the limit."""

    name: str | UnsetType = UNSET
    about: str | UnsetType = UNSET
    public: bool | UnsetType = UNSET
    members_max: int | UnsetType = UNSET
    member_limit: SpendLimit | UnsetType | None = UNSET


class Pool(Struct, frozen=True):
    """A pool's face: what everybody may see of a public one."""

    pool_id: PoolId
    status: PoolStatus
    terms: PoolTerms
    created_at_ms: int
    request_hash: str
    """What the creation asked for, to tell a repeat from another request under the same key."""

    @property
    def account_id(self) -> AccountId:
        """The account that its credits are on."""
        return account_of(self.pool_id)


class Member(Struct, frozen=True):
    """Somebody's part in a pool. What they have and used stands in the ledger and not here."""

    user_id: UserId
    role: Role
    standing: Standing
    limit: SpendLimit | None
    joined_at_ms: int


class Invitation(Struct, frozen=True):
    """Lets so many people into a pool, until it expires."""

    invitation_id: InvitationId
    pool_id: PoolId
    secret_hash: str
    uses_max: int
    uses: int
    expires_at_ms: int
    invited_by: UserId
    revoked_by: UserId | None = None


class Invited(Struct, frozen=True):
    """A new invitation, and its code, which is shown once."""

    invitation: Invitation
    code: Secret


class MemberState(Struct, frozen=True):
    """A member, and their stake in the ledger. Somebody whose joining has not finished has none."""

    member: Member
    stake: Stake | None


class PoolState(Struct, frozen=True):
    """A pool as one person sees it. Whoever does not belong to it sees its face and how many do."""

    pool: Pool
    seats: int
    balance_micros: int | None = None
    drawable_micros: int | None = None
    """What this person could draw now."""
    me: MemberState | None = None
    members: tuple[MemberState, ...] = ()


class SessionOrder(Struct, frozen=True):
    """What a session is to be."""

    name: str
    pool_id: PoolId | None
    budget_micros: int
    models: frozenset[str] | None
    lifetime_ms: int


def account_of(pool_id: str) -> AccountId:
    """The account of the pool of this id."""
    return AccountId(f"pool:{pool_id}")
