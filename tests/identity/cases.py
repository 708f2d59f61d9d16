"""The table of users' tokens: each with our verdict, and with that of Firebase's own SDK where it differs."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shared.base.errors import CredenceError
from shared.identity.errors import TokenExpired, TokenInvalid
from shared.identity.rules import TOKEN_CHARS_MAX
from tests.identity.tokens import (
    MISSING,
    UID,
    Key,
    encode,
    key_of,
    leave_unsigned,
    public_pem,
    replace_claims,
    sign,
    sign_with_public_key,
    user_claims,
)

PUBLISHED = key_of("published")
STRANGER = key_of("stranger")
"""A key that is in no answer of the certificates' server."""


@dataclass(frozen=True)
class Case:
    """One token. `refusal` is None when it is good."""

    name: str
    make: Callable[[int], str]
    refusal: type[CredenceError] | None = TokenInvalid
    stricter_than_firebase: bool = False
    """We refuse it and firebase_admin.auth.verify_id_token accepts it."""


def _with(name: str, refusal: type[CredenceError] | None = TokenInvalid, /, **changes: object) -> Case:
    return Case(name, lambda now_s: sign(user_claims(now_s, **changes), PUBLISHED), refusal)


def _stricter(name: str, make: Callable[[int], str], refusal: type[CredenceError] = TokenInvalid) -> Case:
    return Case(name, make, refusal, stricter_than_firebase=True)


def _at(name: str, refusal: type[CredenceError] | None = TokenInvalid, /, **offsets_s: int) -> Case:
    """Times relative to now."""

    def make(now_s: int) -> str:
        return sign(user_claims(now_s, **{claim: now_s + by for claim, by in offsets_s.items()}), PUBLISHED)

    return Case(name, make, refusal)


def _valid(now_s: int) -> str:
    return sign(user_claims(now_s), PUBLISHED)


def _with_header(name: str, **header: Any) -> Case:
    return Case(name, lambda now_s: sign(user_claims(now_s), PUBLISHED, **header))


def _with_unsigned_parts(name: str, header: bytes, claims: bytes) -> Case:
    return Case(name, lambda _: f"{encode(header)}.{encode(claims)}.{encode(b'signature')}")


_HEADER = json.dumps({"alg": "RS256", "kid": PUBLISHED.kid}).encode()
_NESTED = b"[" * 2_000


def _certificate_in_token(key: Key) -> dict[str, Any]:
    return {"jwk": {"kty": "RSA"}, "x5c": [key.certificate], "kid": PUBLISHED.kid}


USER_CASES = (
    Case("valid", _valid, None),
    _at("issued and signed in within the clock skew", None, iat=3, auth_time=3),
    _with("anonymous", None, email=MISSING, firebase={"sign_in_provider": "anonymous"}),
    _with("longest uid", None, sub="u" * 128),
    _with("custom claims", None, plan="x" * 1000),
    # Time.
    _at("expired", TokenExpired, iat=-7200, exp=-60),
    Case(
        "expired and signed with a key no longer published",
        lambda now_s: sign(user_claims(now_s, exp=now_s - 60), STRANGER),
        TokenExpired,
    ),
    _at("not yet valid", iat=60),
    _with("no exp", exp=MISSING),
    _with("no iat", iat=MISSING),
    _with("exp is a string", exp="4102444800"),
    # Whom it is for, who made it.
    _with("foreign audience", aud="other-project"),
    _with("audience in a list", aud=["demo-identity"]),
    _with("no audience", aud=MISSING),
    _with("foreign issuer", iss="https://securetoken.google.com/other-project"),
    _with("issuer of session cookies", iss="https://session.firebase.google.com/demo-identity"),
    _with(
        "custom token",
        aud="https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit",
    ),
    # Whom it names.
    _with("empty sub", sub=""),
    _with("no sub", sub=MISSING),
    _with("sub is a number", sub=7),
    _with("sub too long", sub="u" * 129),
    # How it is signed.
    Case("unknown kid", lambda now_s: sign(user_claims(now_s), STRANGER)),
    _with_header("no kid", kid=MISSING),
    _with_header("kid is a list", kid=["published"]),
    Case("alg none", lambda now_s: leave_unsigned(user_claims(now_s))),
    Case("alg none with kid", lambda now_s: leave_unsigned(user_claims(now_s), kid="published")),
    _with_header("alg none over a signature", alg="none"),
    _with_header("alg RS384 over a signature", alg="RS384"),
    _with_header("alg in lower case", alg="rs256"),
    _with_header("alg is an object", alg={}),
    Case("HS256 with the certificate", lambda now_s: sign_with_public_key(user_claims(now_s), PUBLISHED)),
    Case(
        "HS256 with the public key",
        lambda now_s: sign_with_public_key(
            user_claims(now_s), Key(PUBLISHED.kid, PUBLISHED.private, public_pem(PUBLISHED))
        ),
    ),
    Case("signed with another key", lambda now_s: sign(user_claims(now_s), STRANGER, kid="published")),
    Case(
        "brings its own key",
        lambda now_s: sign(user_claims(now_s), STRANGER, **_certificate_in_token(STRANGER)),
    ),
    Case("other claims", lambda now_s: replace_claims(_valid(now_s), user_claims(now_s, sub="mallory"))),
    Case("no signature", lambda now_s: _valid(now_s).rpartition(".")[0] + "."),
    Case(
        "signature removed by Cloud Run",
        lambda now_s: _valid(now_s).rpartition(".")[0] + ".SIGNATURE_REMOVED_BY_GOOGLE",
    ),
    # What is no token at all.
    Case("truncated", lambda now_s: _valid(now_s)[:-20]),
    Case("two parts", lambda now_s: _valid(now_s).rpartition(".")[0]),
    Case("four parts", lambda now_s: _valid(now_s) + ".x"),
    Case("line break at the end", lambda now_s: _valid(now_s) + "\n"),
    Case("empty", lambda _: ""),
    Case("only dots", lambda _: ".."),
    Case("not ASCII", lambda _: "é.ü.ñ"),
    Case("a lone surrogate", lambda _: "\ud800.a.b"),
    Case("a quarter of base64", lambda _: "a.a.a"),
    _with_unsigned_parts("not UTF-8", b"\xff\xfe\xfd", b"\xff\xfe\xfd"),
    Case("signed in UTF-16", lambda now_s: sign(user_claims(now_s), PUBLISHED, charset="utf-16")),
    _with_unsigned_parts("not JSON", b"{alg", b"{}"),
    _with_unsigned_parts("header is a list", b"[]", b"{}"),
    _with_unsigned_parts("claims are a list", _HEADER, b"[]"),
    _with_unsigned_parts("nested without end", _HEADER, _NESTED),
    _with_unsigned_parts("header nested without end", _NESTED, b"{}"),
    Case("huge garbage", lambda _: "a" * 1_000_000),
    # Where we are stricter; the reasons are in test_contract.py.
    _stricter("huge", lambda now_s: sign(user_claims(now_s, plan="x" * TOKEN_CHARS_MAX), PUBLISHED)),
    _stricter("characters outside base64url", lambda now_s: _valid(now_s) + "!!!!"),
    _stricter(
        "expired within the clock skew", lambda now_s: sign(user_claims(now_s, exp=now_s - 2), PUBLISHED), TokenExpired
    ),
    _stricter("exp is a fraction", lambda now_s: sign(user_claims(now_s, exp=now_s + 60.5), PUBLISHED)),
    _stricter("iat is a boolean", lambda now_s: sign(user_claims(now_s, iat=True), PUBLISHED)),
    _stricter("no auth_time", lambda now_s: sign(user_claims(now_s, auth_time=MISSING), PUBLISHED)),
    _stricter("signed in in the future", lambda now_s: sign(user_claims(now_s, auth_time=now_s + 60), PUBLISHED)),
    _stricter(
        "tenant",
        lambda now_s: sign(
            user_claims(now_s, firebase={"sign_in_provider": "password", "tenant": "acme-x1y2z"}), PUBLISHED
        ),
    ),
    _stricter("firebase is a list", lambda now_s: sign(user_claims(now_s, firebase=["tenant"]), PUBLISHED)),
    _stricter("uid with a slash", lambda now_s: sign(user_claims(now_s, sub=f"{UID}/../x"), PUBLISHED)),
)
