"""Who calls. Every function says which sort of caller it takes; nobody else reaches its body."""

from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from starlette.requests import Request

from shared.app import App
from shared.base.errors import CredenceError, Kind
from shared.base.ids import AccountId, RequestId

if TYPE_CHECKING:
    from shared.identity.models import User

Auth = Literal["user", "user_now", "service", "none"]
"""`user_now` asks Firebase about the user on every call; `user` may remember for a minute what it said."""


class TokenMissing(CredenceError):
    """No bearer token was sent."""

    code = "missing_token"
    kind = Kind.UNAUTHENTICATED

    def __init__(self) -> None:
        super().__init__("Send a token: `Authorization: Bearer ...`.")


class ScopeMissing(CredenceError):
    """The service is known and may not do this."""

    code = "scope_missing"
    kind = Kind.DENIED

    def __init__(self, scope: str) -> None:
        super().__init__(f"This service lacks the scope {scope}.")


class Caller(Struct, frozen=True):
    """Whoever calls, in this one request. `name` is for logs and idempotency keys."""

    request_id: RequestId
    name: str
    user: "User | None" = None
    route_asked: str | None = None
    """What the header `x-credence-route` says, in a function that chooses among routes."""

    @property
    def account_id(self) -> AccountId:
        """The caller's own wallet."""
        return AccountId(self.name)

    def known_user(self) -> "User":
        """The user, in a function whose callers are users; anything else is a defect of the function."""
        if self.user is None:
            raise TypeError("this function does not authenticate users")
        return self.user


async def authenticate(request: Request, app: App, request_id: RequestId, auth: Auth, scope: str | None) -> Caller:
    """Raise TokenMissing, ScopeMissing, or what the identity package says of the token."""
    if auth == "none":
        return Caller(request_id, "anyone")
    token = _bearer_token(request)
    if auth in ("user", "user_now"):
        user = await (app.identity.user(token) if auth == "user" else app.identity.user_now(token))
        return Caller(request_id, f"user:{user.uid}", user)
    service = await app.identity.service(token)
    if scope not in service.scopes:
        raise ScopeMissing(str(scope))
    return Caller(request_id, f"service:{service.email}")


def _bearer_token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise TokenMissing
    return token.strip()
