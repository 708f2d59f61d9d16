"""Google's side of identity: the certificates that tokens are signed with, and the accounts of our users.

Reached with `requests` in a worker thread, because google-cloud-firestore has loaded it (and google.auth) already.
"""

import asyncio
import re
import threading
from collections.abc import Callable, Mapping
from typing import Protocol, Self, TypeVar

import google.auth
import requests
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import load_pem_x509_certificate
from google.auth.crypt import RSAVerifier
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession
from msgspec import Struct
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from shared.base.clock import Clock
from shared.base.flight import SingleFlight
from shared.base.ids import UserId
from shared.base.log import write_line
from shared.identity import rules
from shared.identity.errors import IdentityUnavailable, TokenInvalid
from shared.identity.models import Account, Token

IDENTITY_TOOLKIT_URL = "https://identitytoolkit.googleapis.com"
IDENTITY_TOOLKIT_SCOPE = "https://www.googleapis.com/auth/identitytoolkit"

CONNECT_TIMEOUT_S = 2.0
READ_TIMEOUT_S = 3.0
RETRIES_MAX = 1
"""Both calls only read, so a repeat is safe. With a second one the caller would wait longer than a refusal is worth."""
DEADLINE_S = 10.0
"""Both attempts at their slowest. It also bounds what the timeouts do not: fetching credentials, many addresses."""
POOL_CONNECTIONS_MAX = 32
"""As many as there are threads in asyncio's default pool, so no connection is thrown away after one use."""

CERTIFICATES_LIFETIME_S_MIN = 60
"""Whatever the answer says, certificates are not fetched for every request."""
CERTIFICATES_LIFETIME_S_MAX = 86_400
"""Whatever the answer says, a withdrawn key is not trusted for longer than a day. Google says about six hours."""
UNKNOWN_KEY_REFETCH_MS = 30_000
"""A key we have not seen may be new, or made up by anybody: then we look again, this often at most."""

Answer = TypeVar("Answer")


class _Verifier(Protocol):
    def verify(self, message: bytes, signature: bytes) -> bool: ...


class _Published(Struct, frozen=True):
    """The certificates as they were published at one moment, by key id."""

    verifiers: Mapping[str, _Verifier]
    fetched_at_ms: int
    expires_at_ms: int


class Certificates:
    """The x509 certificates published at one URL, kept as long as their Cache-Control allows (within our bounds)."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._url = url
        self._clock = clock
        self._session = _with_retries(requests.Session())
        self._published: _Published | None = None
        self._flight: SingleFlight[str, _Published] = SingleFlight()

    async def verify(self, token: Token) -> None:
        """Raise TokenInvalid unless `token` is signed by one of these keys, IdentityUnavailable when none can be had.

        The certificates' own dates are not looked at, as in Google's libraries: what is published is what counts.
        """
        kid = rules.require_rs256(token.header)
        verifier = await self._find_verifier(kid)
        if verifier is None:
            raise TokenInvalid("The token is signed with an unknown key.")
        if not verifier.verify(token.signed, token.signature):
            raise TokenInvalid("The token's signature is wrong.")

    async def _find_verifier(self, kid: str) -> _Verifier | None:
        published = self._published
        if published is None or published.expires_at_ms <= self._clock():
            published = await self._flight.run(self._url, self._fetch)
        if kid not in published.verifiers and published.fetched_at_ms + UNKNOWN_KEY_REFETCH_MS <= self._clock():
            published = await self._flight.run(self._url, self._fetch)
        return published.verifiers.get(kid)

    async def _fetch(self) -> _Published:
        fetched_at_ms = self._clock()
        verifiers, lifetime_s = await _ask("certificates", self._read)
        self._published = _Published(verifiers, fetched_at_ms, fetched_at_ms + lifetime_s * 1000)
        return self._published

    def _read(self) -> tuple[dict[str, _Verifier], int]:
        response = self._session.get(self._url, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S), allow_redirects=False)
        _require_ok(response)
        return _verifiers_of(response.json()), _lifetime_s(response.headers)


class EmulatorSignatures:
    """Stands for Certificates where the Auth emulator issues the tokens: it signs none. Never built in production."""

    async def verify(self, token: Token) -> None:
        """Raise TokenInvalid unless `token` is an unsigned one, as the emulator makes them."""
        rules.require_unsigned(token)


def open_google_session() -> requests.Session:
    """A session with the process's own Google credentials (application default). May read the metadata server."""
    credentials, _ = google.auth.default(scopes=[IDENTITY_TOOLKIT_SCOPE])
    session: requests.Session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
    return session


def open_emulator_session() -> requests.Session:
    """A session that the Auth emulator takes for an administrator's."""
    session = requests.Session()
    # A .netrc entry would replace the header, and a proxy has no way to this machine's emulator.
    session.trust_env = False
    session.headers["Authorization"] = "Bearer owner"
    return session


class FirebaseAccounts:
    """The users of one Firebase project, by `accounts:lookup`.

    https://cloud.google.com/identity-platform/docs/reference/rest/v1/projects.accounts/lookup
    Needs the permission firebaseauth.users.get (roles/firebaseauth.viewer).
    """

    def __init__(
        self,
        project_id: str,
        *,
        base_url: str = IDENTITY_TOOLKIT_URL,
        open_session: Callable[[], requests.Session] = open_google_session,
    ) -> None:
        self._url = f"{base_url}/v1/projects/{project_id}/accounts:lookup"
        self._open_session = open_session
        self._session: requests.Session | None = None
        self._opening = threading.Lock()

    @classmethod
    def from_emulator(cls, project_id: str, host: str) -> Self:
        """The same, kept by the Auth emulator at `host` (name and port)."""
        return cls(
            project_id, base_url=f"http://{host}/identitytoolkit.googleapis.com", open_session=open_emulator_session
        )

    async def find(self, uid: UserId) -> Account | None:
        """The account as it is now, None when there is none. Raise IdentityUnavailable when it cannot be read."""
        return await _ask("accounts", lambda: self._read(uid))

    def _read(self, uid: UserId) -> Account | None:
        response = self._opened().post(
            self._url,
            json={"localId": [uid]},
            timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
            allow_redirects=False,
        )
        _require_ok(response)
        return _account_of(response.json(), uid)

    def _opened(self) -> requests.Session:
        """Opened on first use and in the worker thread, because finding credentials is slow and blocks."""
        with self._opening:
            if self._session is None:
                self._session = _with_retries(self._open_session())
            return self._session


class _Unusable(Exception):
    """Google answered, but not with what we asked for."""


async def _ask(source: str, read: Callable[[], Answer]) -> Answer:
    """Run `read` in a worker thread within the deadline; whatever goes wrong outside becomes IdentityUnavailable."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            return await asyncio.to_thread(read)
    except (requests.RequestException, GoogleAuthError, TimeoutError, _Unusable) as error:
        reason = str(error) if isinstance(error, _Unusable) else type(error).__name__
        write_line("WARNING", "identity_source_failed", source=source, reason=reason)
        raise IdentityUnavailable from error


def _with_retries(session: requests.Session) -> requests.Session:
    retries = Retry(
        total=RETRIES_MAX,
        status_forcelist=(500, 502, 503, 504),
        allowed_methods=None,
        backoff_factor=0.1,
        raise_on_status=False,
        # An answer must not be able to make us sleep.
        respect_retry_after_header=False,
    )
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retries, pool_maxsize=POOL_CONNECTIONS_MAX))
    return session


def _require_ok(response: requests.Response) -> None:
    if response.status_code != requests.codes.ok:
        raise _Unusable(f"status {response.status_code}")


def _verifiers_of(body: object) -> dict[str, _Verifier]:
    """Certificates of keys that are no RSA keys are left out: RS256 cannot be verified with them."""
    if not isinstance(body, dict) or not body:
        raise _Unusable("no certificates in the answer")
    verifiers: dict[str, _Verifier] = {}
    for kid, pem in body.items():
        try:
            key = load_pem_x509_certificate(str(pem).encode()).public_key()
        except ValueError:
            raise _Unusable("unreadable certificate") from None
        if isinstance(key, RSAPublicKey):
            verifiers[kid] = RSAVerifier(key)  # type: ignore[no-untyped-call]
    return verifiers


def _lifetime_s(headers: Mapping[str, str]) -> int:
    """How long the answer stays fresh (RFC 9111, section 4.2): max-age less the age it came with, within our bounds."""
    max_age = re.search(r"\bmax-age=(\d{1,9})", headers.get("Cache-Control", ""))
    age = re.fullmatch(r"\d{1,9}", headers.get("Age", ""))
    fresh_s = (int(max_age[1]) if max_age else 0) - (int(age[0]) if age else 0)
    return min(max(fresh_s, CERTIFICATES_LIFETIME_S_MIN), CERTIFICATES_LIFETIME_S_MAX)


def _account_of(body: object, uid: UserId) -> Account | None:
    users = body.get("users", []) if isinstance(body, dict) else None
    if not isinstance(users, list):
        raise _Unusable("no users in the answer")
    for user in users:
        if isinstance(user, dict) and user.get("localId") == uid:
            valid_since = str(user.get("validSince", "0"))
            if not valid_since.isdecimal():
                raise _Unusable("unreadable validSince")
            email, phone = user.get("email"), user.get("phoneNumber")
            return Account(
                email=email if isinstance(email, str) and email else None,
                email_verified=user.get("emailVerified") is True,
                disabled=user.get("disabled") is True,
                valid_since_s=int(valid_since),
                phone=phone if isinstance(phone, str) and phone else None,
            )
    return None
