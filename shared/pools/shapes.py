"""What functions about pools and sessions take and answer, and the way to and from their own values."""

from typing import Annotated, Literal

from msgspec import Meta

from shared.base.body import LAST, Body
from shared.base.micros import AMOUNT_MICROS_MAX
from shared.base.periods import Period
from shared.cards.models import Card
from shared.ledger.allowances import counted_micros
from shared.ledger.models import Origin, SpendLimit
from shared.pools.models import (
    INVITATION_LIFETIME_MS_MAX,
    INVITATION_USES_MAX,
    MEMBERS_MAX,
    SESSION_LIFETIME_MS_MAX,
    Invitation,
    Member,
    MemberState,
    Pool,
    PoolState,
)
from shared.pools.rules import is_good

ABOUT_CHARS_MAX = 2_000

PoolIdText = Annotated[str, Meta(pattern=rf"^[a-z2-7]{{12}}{LAST}")]
SessionIdText = PoolIdText
InvitationIdText = PoolIdText
UserIdText = Annotated[str, Meta(pattern=rf"^[A-Za-z0-9_-]{{1,128}}{LAST}")]
AboutText = Annotated[str, Meta(max_length=ABOUT_CHARS_MAX)]
CodeText = Annotated[str, Meta(max_length=100)]
MembersMax = Annotated[int, Meta(ge=1, le=MEMBERS_MAX)]
UsesMax = Annotated[int, Meta(ge=1, le=INVITATION_USES_MAX)]
InvitationLifetimeS = Annotated[int, Meta(ge=60, le=INVITATION_LIFETIME_MS_MAX // 1000)]
SessionLifetimeS = Annotated[int, Meta(ge=1, le=SESSION_LIFETIME_MS_MAX // 1000)]


class MemberLimit(Body, frozen=True, kw_only=True):
    """What a member may draw of the others' credits in a day, week or month (UTC). Their own they may always draw."""

    amount_micros: Annotated[int, Meta(ge=0, le=AMOUNT_MICROS_MAX)]
    period: Literal["day", "week", "month"]

    def value(self) -> SpendLimit:
        """The limit itself."""
        return SpendLimit(self.amount_micros, Period(self.period))


class PoolView(Body, frozen=True, kw_only=True):
    """What everybody may see of a public pool."""

    pool_id: str
    account_id: str
    name: str
    about: str
    status: str
    public: bool
    members_max: int
    member_limit: MemberLimit | None
    created_at_ms: int


class MemberView(Body, frozen=True, kw_only=True):
    """A member as the other members see them. What is on their open sessions counts as used."""

    user_id: str
    role: str
    limit: MemberLimit | None
    lends: bool
    share_micros: int
    share_paid_micros: int
    contributed_micros: int
    withdrawn_micros: int
    used_micros: int
    lent_micros: int
    drawn_day_micros: int
    drawn_week_micros: int
    drawn_month_micros: int


class InvitationView(Body, frozen=True, kw_only=True):
    """An invitation without what lets anybody in."""

    invitation_id: str
    invited_by: str
    uses: int
    uses_max: int
    expires_at_ms: int
    revoked: bool
    good: bool
    """Whether it lets anybody in any more, unless whoever made it may not invite any more."""


class SessionView(Body, frozen=True, kw_only=True):
    """A session as its owner sees it."""

    session_id: str
    account_id: str
    name: str
    status: str
    pool_id: str | None
    budget_micros: int
    models: list[str] | None
    expires_at_ms: int
    created_at_ms: int


def limit_shown(limit: SpendLimit | None) -> MemberLimit | None:
    """The limit as it is shown."""
    if limit is None:
        return None
    periods: dict[Period, Literal["day", "week", "month"]] = {
        Period.DAY: "day",
        Period.WEEK: "week",
        Period.MONTH: "month",
    }
    return MemberLimit(amount_micros=limit.amount_micros, period=periods[limit.period])


def pool_shown(pool: Pool) -> PoolView:
    """The pool as it is shown."""
    terms = pool.terms
    return PoolView(
        pool_id=pool.pool_id,
        account_id=pool.account_id,
        name=terms.name,
        about=terms.about,
        status=pool.status.value,
        public=terms.public,
        members_max=terms.members_max,
        member_limit=limit_shown(terms.member_limit),
        created_at_ms=pool.created_at_ms,
    )


def member_shown(state: MemberState, at_ms: int) -> MemberView:
    """A member with what the ledger says of them at a moment."""
    member, stake = state.member, state.stake
    lots = stake.lots if stake else ()
    allowance = stake.allowance if stake else None

    def drawn(period: Period) -> int:
        return counted_micros(allowance, period, at_ms) if allowance else 0

    return MemberView(
        user_id=member.user_id,
        role=member.role.value,
        limit=limit_shown(allowance.limit if allowance else member.limit),
        lends=stake.lends if stake else True,
        share_micros=sum(lot.remaining_micros for lot in lots),
        share_paid_micros=sum(lot.remaining_micros for lot in lots if lot.origin is Origin.PAID),
        contributed_micros=stake.contributed_micros if stake else 0,
        withdrawn_micros=stake.withdrawn_micros if stake else 0,
        used_micros=stake.used_micros if stake else 0,
        lent_micros=stake.lent_micros if stake else 0,
        drawn_day_micros=drawn(Period.DAY),
        drawn_week_micros=drawn(Period.WEEK),
        drawn_month_micros=drawn(Period.MONTH),
    )


def member_only(member: Member, at_ms: int) -> MemberView:
    """A member of whom the ledger was not asked."""
    return member_shown(MemberState(member, None), at_ms)


def members_shown(state: PoolState, at_ms: int) -> list[MemberView] | None:
    """All members, for one of them."""
    return [member_shown(member, at_ms) for member in state.members] if state.me else None


def invitation_shown(invitation: Invitation, at_ms: int) -> InvitationView:
    """The invitation as it is shown."""
    return InvitationView(
        invitation_id=invitation.invitation_id,
        invited_by=invitation.invited_by,
        uses=invitation.uses,
        uses_max=invitation.uses_max,
        expires_at_ms=invitation.expires_at_ms,
        revoked=invitation.revoked_by is not None,
        good=is_good(invitation, at_ms),
    )


def session_shown(card: Card) -> SessionView:
    """The session as it is shown."""
    terms, session = card.terms, card.session
    return SessionView(
        session_id=card.card_id,
        account_id=card.account_id,
        name=terms.name,
        status=card.status.value,
        pool_id=session.pool if session else None,
        budget_micros=session.budget_micros if session else 0,
        models=None if terms.models is None else sorted(terms.models),
        expires_at_ms=terms.expires_at_ms or 0,
        created_at_ms=card.created_at_ms,
    )
