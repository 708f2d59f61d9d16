"""Create a pool whose owner and only member is the caller. Called by apps; a repeat of the key creates no more.

What a new member may draw of the others' credits is little unless the request says it: null is no limit, which no
public pool may have, and a public one must name its own.
"""

from msgspec import UNSET, UnsetType

from shared.app import App
from shared.base.body import Body, IdempotencyKey, ShortText
from shared.ledger.models import SpendLimit
from shared.pools.models import MEMBER_LIMIT_DEFAULT, MEMBERS_MAX, PoolTerms
from shared.pools.shapes import AboutText, MemberLimit, MembersMax, PoolView, pool_shown
from shared.web.auth import Caller
from shared.web.function import http_function


class PoolCreateRequest(Body, frozen=True, kw_only=True):
    """What the pool says of itself, who may join, and what a new member may draw of the others' credits."""

    name: ShortText
    about: AboutText = ""
    public: bool = False
    members_max: MembersMax = MEMBERS_MAX
    member_limit: MemberLimit | UnsetType | None = UNSET
    idempotency_key: IdempotencyKey


class PoolCreateResponse(Body, frozen=True, kw_only=True):
    """The pool."""

    pool: PoolView


@http_function(auth="user_now", body=PoolCreateRequest, answer=PoolCreateResponse)
async def pool_create(body: PoolCreateRequest, caller: Caller, app: App) -> PoolCreateResponse:
    """Raise PublicNeedsLimit (400), SignInNeeded (403), AccountAbsent (404) or KeyReused (409)."""
    terms = PoolTerms(
        name=body.name,
        about=body.about,
        public=body.public,
        members_max=body.members_max,
        member_limit=_limit(body),
    )
    pool = await app.pools.create(caller.signed_in_user().uid, terms, key=body.idempotency_key)
    return PoolCreateResponse(pool=pool_shown(pool))


def _limit(body: PoolCreateRequest) -> SpendLimit | None:
    if isinstance(body.member_limit, MemberLimit):
        return body.member_limit.value()
    return MEMBER_LIMIT_DEFAULT if body.member_limit is UNSET and not body.public else None
