"""Who calls: users by their Firebase ID token, our own services by their Google OIDC token."""

import hashlib
from collections import OrderedDict
from typing import Protocol, Self

from shared.base.callers import Callers, parse_callers
from shared.base.clock import Clock
from shared.base.flight import SingleFlight
from shared.base.ids import UserId
from shared.base.settings import Settings
from shared.identity import gateway, rules
from shared.identity.models import Account, Service, Token, User

USER_CACHE_MS = 60_000
"""A revoked or disabled user is let in for this long at most; in exchange Google is asked once a minute per user."""
USER_CACHE_ENTRIES_MAX = 4_096
"""About 4 MB at 1 KB each, and more users than one instance serves in a minute."""


class Signatures(Protocol):
    """Tells whether a token is signed by its issuer."""

    async def verify(self, token: Token) -> None:
        """Raise TokenInvalid when it is not, IdentityUnavailable when that cannot be told."""


class Accounts(Protocol):
    """Tells what is known of a user now."""

    async def find(self, uid: UserId) -> Account | None:
        """None when there is no such account. Raise IdentityUnavailable when that cannot be told."""


class Identity:
    """Verifies callers. One per process and event loop."""

    def __init__(
        self,
        *,
        project_id: str,
        service_audience: str | None,
        callers: Callers,
        user_signatures: Signatures,
        service_signatures: Signatures,
        accounts: Accounts,
        clock: Clock,
    ) -> None:
        self._project_id = project_id
        self._service_audience = service_audience
        self._callers = callers
        self._user_signatures = user_signatures
        self._service_signatures = service_signatures
        self._accounts = accounts
        self._clock = clock
        self._users: OrderedDict[bytes, tuple[User, int]] = OrderedDict()
        self._flight: SingleFlight[bytes, User] = SingleFlight()

    @classmethod
    def from_settings(cls, settings: Settings, clock: Clock) -> Self:
        """Reach no network yet. Raise SettingsWrong when `service_callers` cannot be read.

        Only where an Auth emulator is named, which Settings allows in a local environment alone, do unsigned user
        tokens pass; service tokens are signed everywhere.
        """
        emulator_host = settings.firebase_auth_emulator_host
        return cls(
            project_id=settings.project_id,
            service_audience=settings.service_audience,
            callers=parse_callers(settings.service_callers),
            user_signatures=gateway.EmulatorSignatures()
            if emulator_host
            else gateway.Certificates(settings.identity_certs_url, clock),
            service_signatures=gateway.Certificates(settings.oidc_certs_url, clock),
            accounts=gateway.FirebaseAccounts.from_emulator(settings.project_id, emulator_host)
            if emulator_host
            else gateway.FirebaseAccounts(settings.project_id),
            clock=clock,
        )

    async def user(self, token: str) -> User:
        """The user whose Firebase ID token this is.

        Raise TokenInvalid, TokenExpired, TokenRevoked, UserDisabled, or IdentityUnavailable. Only success is
        remembered, for USER_CACHE_MS from the moment the account was asked for, and never beyond the token's `exp`.
        """
        digest = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        user = self._recall(digest)
        if user is None:
            user = await self._flight.run(digest, lambda: self._verify_user(token, digest))
        return user

    async def user_now(self, token: str) -> User:
        """As `user`, but asked of Firebase now: for what must see a change of the last minute."""
        digest = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        return await self._verify_user(token, digest)

    async def service(self, token: str) -> Service:
        """The service whose OIDC token this is, with its scopes.

        Raise TokenInvalid, TokenExpired, or IdentityUnavailable. Not remembered: a check costs one local signature.
        """
        parsed = rules.parse_token(token)
        service = rules.check_service(
            parsed.claims, audience=self._service_audience, callers=self._callers, now_ms=self._clock()
        )
        await self._service_signatures.verify(parsed)
        return service

    async def _verify_user(self, token: str, digest: bytes) -> User:
        parsed = rules.parse_token(token)
        claims = rules.check_user(parsed.claims, project_id=self._project_id, now_ms=self._clock())
        await self._user_signatures.verify(parsed)
        asked_at_ms = self._clock()
        account = await self._accounts.find(claims.uid)
        user = rules.check_account(claims, account)
        self._remember(digest, user, until_ms=min(asked_at_ms + USER_CACHE_MS, user.expires_at_s * 1000))
        return user

    def _recall(self, digest: bytes) -> User | None:
        remembered = self._users.get(digest)
        if remembered is None:
            return None
        user, until_ms = remembered
        if until_ms <= self._clock():
            del self._users[digest]
            return None
        self._users.move_to_end(digest)
        return user

    def _remember(self, digest: bytes, user: User, *, until_ms: int) -> None:
        self._users[digest] = user, until_ms
        self._users.move_to_end(digest)
        if len(self._users) > USER_CACHE_ENTRIES_MAX:
            self._users.popitem(last=False)
