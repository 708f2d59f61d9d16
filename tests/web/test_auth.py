"""Who is let in: a bearer token, checked by what the function asks for, and nobody else."""

from collections.abc import Mapping
from typing import Any, cast

import pytest
from msgspec import structs
from starlette.requests import Request

from shared.app import App
from shared.base.ids import RequestId, UserId
from shared.cards.models import Card, CardId, CardStatus, Session, Terms
from shared.identity.models import Service, User
from shared.risk.rules import client_address
from shared.web.asking import asking
from shared.web.auth import Auth, Caller, ScopeMissing, SignInNeeded, TokenMissing, authenticate

REQUEST_ID = RequestId("req_1")
ADA = User(UserId("ada"), "ada@example.com", True, 1, 2, "password")
BACKEND = Service("backend@example.iam.gserviceaccount.com", frozenset({"credit:debit", "timer"}))


class Identity:
    """Knows everybody, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def user(self, token: str) -> User:
        self.asked.append(("user", token))
        return ADA

    async def user_now(self, token: str) -> User:
        self.asked.append(("user_now", token))
        return ADA

    async def service(self, token: str) -> Service:
        self.asked.append(("service", token))
        return BACKEND


class Built:
    """An app of which only the identity may be touched."""

    def __init__(self) -> None:
        self.identity = Identity()


def request(headers: Mapping[str, str]) -> Request:
    """A request with these headers."""
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw})


async def let_in(auth: Auth, scope: str | None = None, authorization: str | None = "Bearer t") -> tuple[Caller, Any]:
    """Who the caller is, and what the identity was asked."""
    built = Built()
    headers = {} if authorization is None else {"authorization": authorization}
    caller = await authenticate(request(headers), cast(App, built), REQUEST_ID, auth, scope)
    return caller, built.identity.asked


@pytest.mark.parametrize("auth", ["user", "user_now"])
async def test_a_user_is_checked_as_freshly_as_the_function_asks(auth: Auth) -> None:
    """Its wallet is its own, by its uid."""
    caller, asked = await let_in(auth)

    assert asked == [(auth, "t")]
    assert (caller.account_id, caller.known_user(), caller.request_id) == ("user:ada", ADA, REQUEST_ID)


async def test_a_service_needs_the_scope() -> None:
    """Its name is not a user's, whatever its address."""
    caller, asked = await let_in("service", "credit:debit")

    assert asked == [("service", "t")]
    assert caller.name == f"service:{BACKEND.email}"


@pytest.mark.parametrize("scope", ["credit:grant", "credit", "", None])
async def test_another_scope_is_refused(scope: str | None) -> None:
    """A function that names no scope lets no service in."""
    with pytest.raises(ScopeMissing):
        await let_in("service", scope)


@pytest.mark.parametrize("authorization", ["Bearer t", "bearer t", "BEARER   t  "])
async def test_the_word_bearer_may_be_written_in_any_case(authorization: str) -> None:
    """RFC 9110, section 11.1: schemes are case-insensitive."""
    _, asked = await let_in("user", authorization=authorization)

    assert asked == [("user", "t")]


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Basic dTpw", "t", "Token t", "Bearert", "\xff t"]
)
@pytest.mark.parametrize("auth", ["user", "user_now", "service"])
async def test_without_a_bearer_token_nobody_is_asked(auth: Auth, authorization: str | None) -> None:
    """It is refused before anything is looked up."""
    with pytest.raises(TokenMissing):
        await let_in(auth, "credit:debit", authorization)


async def test_what_is_for_everybody_looks_at_no_token() -> None:
    """So that it needs no identity at all."""
    caller, asked = await let_in("none")

    assert (caller.name, asked) == ("anyone", [])


async def test_a_caller_that_is_no_user_is_a_defect_of_the_function() -> None:
    """Not a refusal: nobody outside can do anything about it."""
    caller, _ = await let_in("service", "timer")

    with pytest.raises(TypeError):
        caller.known_user()


async def test_of_several_forwarding_headers_the_last_one_counts() -> None:
    """A client may send some of its own; what Google appends comes after them."""
    raw = [(b"authorization", b"Bearer t"), (b"x-forwarded-for", b"1.1.1.1"), (b"x-forwarded-for", b"2.2.2.2, 3.3.3.3")]
    asked = Request({"type": "http", "method": "POST", "path": "/", "headers": raw})

    caller = await authenticate(asked, cast(App, Built()), REQUEST_ID, "user_now", None)

    assert client_address(caller.client.forwarded_for, from_end=1) == "3.3.3.3"


def test_an_anonymous_user_is_no_person_to_sell_to() -> None:
    """Whoever was let in with nothing can be let in again as somebody else."""
    anonymous = structs.replace(ADA, sign_in_provider="anonymous")

    with pytest.raises(SignInNeeded):
        Caller(REQUEST_ID, "user:ada", anonymous).signed_in_user()
    assert Caller(REQUEST_ID, "user:ada", ADA).signed_in_user() == ADA


def test_whoever_has_a_part_in_what_is_spent_is_named() -> None:
    """A user themselves; of a session also who lent to it; of a service nobody."""
    session = Session("pool", 9, (UserId("ben"),))
    card = Card(CardId("c" * 12), ADA.uid, CardStatus.OPEN, Terms("s"), 1, session)

    assert asking(Caller(REQUEST_ID, "user:ada", ADA)).payers == {"ada"}
    assert asking(Caller(REQUEST_ID, card.account_id, card=card)).payers == {"ada", "ben"}
    assert asking(Caller(REQUEST_ID, "service:backend")).payers == frozenset()
