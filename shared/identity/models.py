"""Who calls, and the steps on the way to knowing it."""

from collections.abc import Mapping

from msgspec import Struct

from shared.base.ids import UserId


class User(Struct, frozen=True):
    """A person whose token, sign-in and account were all good when it was checked, at most a minute ago."""

    uid: UserId
    email: str | None
    """From the account, not the token, which may be an hour older than a change of address."""
    email_verified: bool
    auth_time_s: int
    """When the person last signed in."""
    expires_at_s: int
    sign_in_provider: str | None
    """`password`, `google.com`, `anonymous` ..."""
    phone: str | None = None
    """Firebase keeps a number only once a message to it was answered."""


class Service(Struct, frozen=True):
    """One of our own services or jobs, known by its service account."""

    email: str
    scopes: frozenset[str]


class Token(Struct, frozen=True):
    """A JSON web token taken apart. Nothing in it is verified yet."""

    header: Mapping[str, object]
    claims: Mapping[str, object]
    signed: bytes
    """The bytes that the signature is over."""
    signature: bytes


class UserClaims(Struct, frozen=True):
    """What a user's token says, once it says it to us and at the right time."""

    uid: UserId
    auth_time_s: int
    expires_at_s: int
    sign_in_provider: str | None


class Account(Struct, frozen=True):
    """What Firebase Authentication knows about a user now."""

    email: str | None
    email_verified: bool
    disabled: bool
    valid_since_s: int
    """Sign-ins before this moment are revoked."""
    phone: str | None = None
