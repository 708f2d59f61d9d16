"""Who calls. Every function says which sort of caller it takes; nobody else reaches its body."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from starlette.requests import Request

from shared.app import App
from shared.base.errors import CredenceError, Kind
from shared.base.ids import CARD_KEY_PREFIX, AccountId, RequestId, UserId
from shared.risk.models import ClientClaim

if TYPE_CHECKING:
    from shared.cards.models import Card
    from shared.identity.models import User

Auth = Literal["user", "user_now", "spender", "holder", "card", "service", "none"]
"""`user_now` asks Firebase about the user on every call; `user` may remember for a minute what it said. `spender` and
`holder` are a user or the key of a card: the one is about to spend, so the card is topped up if that is due; the other
only looks. `card` is the key of a card, or a service that has the scope."""

DEVICE_HEADER = "x-credence-device"
"""What an app calls the device it runs on, the same after it was installed anew: 8 to 128 of `A-Za-z0-9_.:-`."""


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


class UserNeeded(CredenceError):
    """A card's key was sent where only a person may act."""

    code = "user_needed"
    kind = Kind.DENIED

    def __init__(self) -> None:
        super().__init__("A card's key cannot do this; sign in as its owner.")


class SignInNeeded(CredenceError):
    """A user of whom nothing is known wants what only a person may have."""

    code = "sign_in_needed"
    kind = Kind.DENIED

    def __init__(self) -> None:
        super().__init__("Anonymous users cannot do this; sign in first.")


class Caller(Struct, frozen=True):
    """Whoever calls, in this one request. `name` is for logs and idempotency keys."""

    request_id: RequestId
    name: str
    user: "User | None" = None
    route_asked: str | None = None
    """What the header `x-credence-route` says, in a function that chooses among routes."""
    card: "Card | None" = None
    client: ClientClaim = ClientClaim()
    """Where a user's request says that it comes from. Nothing of it is believed yet."""
    left: Callable[[], Awaitable[None]] | None = None
    """Returns once the caller has closed the connection, in a function that calls models."""
    payment: str | None = None
    """The header PAYMENT-SIGNATURE of x402, in a function that is paid by it."""
    accepts: str = ""
    """The header `accept`, in a function that answers in several media types."""

    @property
    def account_id(self) -> AccountId:
        """The caller's own wallet, or the card's account."""
        return AccountId(self.name)

    @property
    def uid(self) -> UserId | None:
        """The user's; None for a card or a service."""
        return self.user.uid if self.user else None

    @property
    def models_allowed(self) -> frozenset[str] | None:
        """The models that the caller may call; None for all of them."""
        return self.card.terms.models if self.card else None

    def payers(self) -> frozenset[UserId]:
        """Whose credits are spent: the user's, or those that are on the card. Nobody's for a service."""
        if self.card:
            return self.card.payers
        return frozenset({self.user.uid}) if self.user else frozenset()

    def owner_uid(self) -> UserId:
        """The user, or whose card it is, in a function whose callers spend; anything else is a defect of it."""
        return self.card.owner if self.card else self.known_user().uid

    def signed_in_user(self) -> "User":
        """The user, unless anybody could be one more of them for nothing. Raise SignInNeeded."""
        user = self.known_user()
        if user.sign_in_provider == "anonymous":
            raise SignInNeeded
        return user

    def known_user(self) -> "User":
        """The user, in a function whose callers are users; anything else is a defect of the function."""
        if self.user is None:
            raise TypeError("this function does not authenticate users")
        return self.user


async def authenticate(request: Request, app: App, request_id: RequestId, auth: Auth, scope: str | None) -> Caller:
    """Raise TokenMissing, ScopeMissing, UserNeeded, or what the packages of identity and cards say of the token."""
    if auth == "none":
        return Caller(request_id, "anyone")
    token = _bearer_token(request)
    if token.startswith(CARD_KEY_PREFIX) and auth != "service":
        return await _card_caller(app, request_id, auth, token)
    if auth in ("user", "user_now", "spender", "holder"):
        user = await (app.identity.user_now(token) if auth == "user_now" else app.identity.user(token))
        client = _client(request)
        return Caller(request_id, f"user:{user.uid}", user, client=client)
    service = await app.identity.service(token)
    if scope not in service.scopes:
        raise ScopeMissing(str(scope))
    return Caller(request_id, f"service:{service.email}")


async def _card_caller(app: App, request_id: RequestId, auth: Auth, key: str) -> Caller:
    if auth in ("user", "user_now"):
        # Said without a look at the key: whether it is good is nobody's business here.
        raise UserNeeded
    card = await (app.card_keys.spender(key) if auth == "spender" else app.card_keys.holder(key))
    return Caller(request_id, card.account_id, card=card)


def _client(request: Request) -> ClientClaim:
    # Of several headers of one name the last was written by whoever is nearest, as the last address of one is.
    forwarded_for = ",".join(request.headers.getlist("x-forwarded-for"))
    return ClientClaim(forwarded_for, request.headers.get(DEVICE_HEADER, ""))


def _bearer_token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise TokenMissing
    return token.strip()
