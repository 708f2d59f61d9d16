"""What makes a token good: pure checks of its form, its header, its claims and the account behind it.

A token may be refused on claims that nobody has verified yet; it is accepted only when its signature is verified too.
"""

import base64
import json
import re
from collections.abc import Mapping

from shared.base.callers import Callers
from shared.base.ids import UserId
from shared.identity.errors import TokenExpired, TokenInvalid, TokenRevoked, UserDisabled
from shared.identity.models import Account, Service, Token, User, UserClaims

TOKEN_CHARS_MAX = 8_192
"""About five times a Firebase token that carries the most custom claims allowed (1,000 bytes)."""
UID_CHARS_MAX = 128
"""Firebase's own limit."""
CLOCK_SKEW_MS = 5_000
"""How far the issuer's clock may run ahead of ours: for `iat` and `auth_time` only, so no token outlives its `exp`."""

USER_ISSUER_PREFIX = "https://securetoken.google.com/"
SERVICE_ISSUERS = ("accounts.google.com", "https://accounts.google.com")
"""A tuple, because a stranger's `iss` may be of a type that cannot be looked up in a set."""

_TOKEN = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)")


def parse_token(text: str) -> Token:
    """Take a JWT in compact form (RFC 7515, section 3.1) apart. Raise TokenInvalid when it is not one.

    Our own lines, because google.auth drops characters that are not base64url and puts the token into its messages.
    """
    if len(text) > TOKEN_CHARS_MAX:
        raise TokenInvalid("The token is too long.")
    parts = _TOKEN.fullmatch(text)
    if parts is None:
        raise TokenInvalid("The token is malformed.")
    header, claims, signature = parts.groups()
    return Token(_decode_object(header), _decode_object(claims), f"{header}.{claims}".encode(), _decode(signature))


def require_rs256(header: Mapping[str, object]) -> str:
    """The id of the key that a Google token claims to be signed with. Any other algorithm raises TokenInvalid."""
    if header.get("alg") != "RS256":
        raise TokenInvalid("The token is not signed with RS256.")
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise TokenInvalid("The token does not name its key.")
    return kid


def require_unsigned(token: Token) -> None:
    """Only for tokens of the Auth emulator, which signs none of them. Raise TokenInvalid for any other token."""
    if token.header.get("alg") != "none" or token.signature:
        raise TokenInvalid("The token is not from the Auth emulator.")


def check_user(claims: Mapping[str, object], *, project_id: str, now_ms: int) -> UserClaims:
    """Raise TokenInvalid or TokenExpired unless these are the claims of a Firebase ID token for this project.

    https://firebase.google.com/docs/auth/admin/verify-id-tokens#verify_id_tokens_using_a_third-party_jwt_library
    Tokens of Identity Platform tenants are refused: their user ids are another name space than ours.
    """
    if claims.get("aud") != project_id or claims.get("iss") != USER_ISSUER_PREFIX + project_id:
        raise TokenInvalid("The token is not an ID token of this project.")
    expires_at_s = _check_times(claims, now_ms=now_ms)
    auth_time_s = _seconds(claims, "auth_time")
    if auth_time_s * 1000 > now_ms + CLOCK_SKEW_MS:
        raise TokenInvalid("The token's sign-in is in the future.")
    uid = claims.get("sub")
    # A slash would lead out of the document path that is built from the uid.
    if not isinstance(uid, str) or not 0 < len(uid) <= UID_CHARS_MAX or "/" in uid:
        raise TokenInvalid("The token names no user.")
    firebase = claims.get("firebase", {})
    if not isinstance(firebase, dict) or firebase.get("tenant") is not None:
        raise TokenInvalid("The token belongs to a tenant.")
    provider = firebase.get("sign_in_provider")
    return UserClaims(UserId(uid), auth_time_s, expires_at_s, provider if isinstance(provider, str) else None)


def check_account(claims: UserClaims, account: Account | None) -> User:
    """The user, unless the account is gone or its sign-in ended (TokenRevoked) or it is disabled (UserDisabled).

    Judged by the time of sign-in, as Firebase's Node SDK does; its Python SDK goes by `iat`, which is never earlier.
    """
    if account is None:
        raise TokenRevoked
    if account.disabled:
        raise UserDisabled
    if account.valid_since_s > claims.auth_time_s:
        raise TokenRevoked
    return User(
        uid=claims.uid,
        email=account.email,
        email_verified=account.email_verified,
        auth_time_s=claims.auth_time_s,
        expires_at_s=claims.expires_at_s,
        sign_in_provider=claims.sign_in_provider,
        phone=account.phone,
    )


def check_service(claims: Mapping[str, object], *, audience: str | None, callers: Callers, now_ms: int) -> Service:
    """Raise TokenInvalid or TokenExpired unless these are the claims of a known service's OIDC token for us.

    https://cloud.google.com/docs/authentication/token-types#id ; no audience configured lets nobody in.
    """
    if claims.get("iss") not in SERVICE_ISSUERS:
        raise TokenInvalid("The token is not a Google service token.")
    if not audience or claims.get("aud") != audience:
        raise TokenInvalid("The token is for another audience.")
    _check_times(claims, now_ms=now_ms)
    email = claims.get("email")
    if not isinstance(email, str) or claims.get("email_verified") is not True:
        raise TokenInvalid("The token names no verified service account.")
    scopes = callers.get(email)
    if not scopes:
        raise TokenInvalid("The service account is not a known caller.")
    return Service(email, scopes)


def _check_times(claims: Mapping[str, object], *, now_ms: int) -> int:
    """The `exp` of a token that is valid now, in seconds."""
    expires_at_s = _seconds(claims, "exp")
    issued_at_s = _seconds(claims, "iat")
    if expires_at_s * 1000 <= now_ms:
        raise TokenExpired
    if issued_at_s * 1000 > now_ms + CLOCK_SKEW_MS:
        raise TokenInvalid("The token is not valid yet.")
    return expires_at_s


def _seconds(claims: Mapping[str, object], name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise TokenInvalid(f"The token's {name} is missing or not a whole number.")
    return value


def _decode_object(segment: str) -> dict[str, object]:
    try:
        value = json.loads(_decode(segment).decode("utf-8"))
    except (ValueError, RecursionError):
        # Deep nesting exhausts the parser's stack. The chain is cut because the cause carries the token's text.
        raise TokenInvalid("The token is malformed.") from None
    if not isinstance(value, dict):
        raise TokenInvalid("The token is malformed.")
    return value


def _decode(segment: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        raise TokenInvalid("The token is malformed.") from None
