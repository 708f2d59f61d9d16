"""Create a pool whose owner and only member is the caller. Called by apps; a repeat of the key creates no more."""

from shared.app import App
from shared.base.body import Body, IdempotencyKey, ShortText
from shared.pools.models import MEMBERS_MAX, PoolTerms
from shared.pools.shapes import AboutText, MemberLimit, MembersMax, PoolView, pool_shown
from shared.web.auth import Caller
from shared.web.function import http_function


class PoolCreateRequest(Body, frozen=True, kw_only=True):
    """What the pool says of itself, who may join, and what a new member may draw of the others' credits."""

    name: ShortText
    about: AboutText = ""
    public: bool = False
    members_max: MembersMax = MEMBERS_MAX
    member_limit: MemberLimit | None = None
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
        member_limit=body.member_limit.value() if body.member_limit else None,
    )
    pool = await app.pools.create(caller.signed_in_user().uid, terms, key=body.idempotency_key)
    return PoolCreateResponse(pool=pool_shown(pool))
