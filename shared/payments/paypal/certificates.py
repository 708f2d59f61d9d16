"""The certificates that PayPal signs its events with: fetched from PayPal's own hosts, checked, kept for a day at most.

https://developer.paypal.com/api/rest/webhooks/rest/. An event says where its certificate lies, so whoever could have us
look elsewhere, or take another name's certificate, could sign events.
"""

import asyncio
import re
import ssl
import warnings
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import Certificate, DNSName, ExtensionNotFound, load_pem_x509_certificates
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from msgspec import Struct

from shared.base.clock import Clock
from shared.base.egress import AddressRefused
from shared.base.flight import SingleFlight
from shared.base.log import write_line
from shared.base.payment_mode import paypal_mode
from shared.base.together import both
from shared.payments.errors import EventRefused, RailUnavailable

if TYPE_CHECKING:
    from shared.base.fetcher import Fetcher

KEPT_MS_MAX = 86_400_000
"""A certificate that PayPal has withdrawn is not trusted for longer."""
KEPT_MAX = 8
"""PayPal signs with one or two at a time."""
FETCHES_PER_MINUTE_MAX = 20
"""Strangers may name as many certificates as they like; PayPal is asked for so many of them."""
CHAIN_BYTES_MAX = 65_536
CHAIN_MAX = 5
KEY_BITS_MIN = 2_048
FETCH_TIMEOUT_S = 5.0
_PATH = re.compile(r"/v1/notifications/certs/[A-Za-z0-9-]{1,100}")


class Realm(Struct, frozen=True):
    """One of PayPal's two worlds. Neither believes what the other signs."""

    hosts: frozenset[str]
    """Which certificates are fetched from."""
    names: tuple[str, ...]
    """One of which a certificate must be made out to."""


LIVE = Realm(frozenset({"api.paypal.com", "api-m.paypal.com"}), ("messageverificationcerts.paypal.com",))
SANDBOX = Realm(
    frozenset({"api.sandbox.paypal.com", "api-m.sandbox.paypal.com"}),
    ("messageverificationcerts.sandbox.paypal.com", "messageverificationcerts.paypal.com"),
)


def realm_of(base_url: str) -> Realm:
    """Whose events belong to the API at that address."""
    return LIVE if paypal_mode(base_url).is_live else SANDBOX


class Source(Struct, frozen=True):
    """Where certificates come from. Both raise AddressRefused, OSError or ValueError when there are none."""

    chain: Callable[[str], Coroutine[Any, Any, bytes]]
    """What is published at a checked URL: the signer's certificate first, then what leads to a root."""
    roots: Callable[[], Coroutine[Any, Any, Sequence[Certificate]]]
    """Whom we trust to say who somebody is."""


def _new_fetcher() -> "Fetcher":
    # Loaded with the first event: it brings an HTTP client, which nothing else of the function needs.
    from shared.base.fetcher import Fetcher

    return Fetcher()


def published(new_fetcher: "Callable[[], Fetcher]" = _new_fetcher) -> Source:
    """Certificates that PayPal publishes, vouched for by the roots that this machine trusts."""

    async def chain(url: str) -> bytes:
        fetcher = new_fetcher()
        try:
            found = await fetcher.fetch(url, bytes_max=CHAIN_BYTES_MAX, media_types=None, timeout_s=FETCH_TIMEOUT_S)
        finally:
            await fetcher.close()
        return found.content

    async def roots() -> Sequence[Certificate]:
        return _certificates(await asyncio.to_thread(_read_system_roots))

    return Source(chain, roots)


def certificates_in(path: str) -> Source:
    """Certificates in a file, the last of which is trusted, where somebody plays PayPal. Settings refuse it in
    production.
    """

    async def chain(_: str) -> bytes:
        return await asyncio.to_thread(Path(path).read_bytes)

    async def roots() -> Sequence[Certificate]:
        return _certificates(await chain(""))[-1:]

    return Source(chain, roots)


class Signer(Struct, frozen=True):
    """Who signs events, as a certificate of theirs was verified to say."""

    key: rsa.RSAPublicKey
    valid_from_ms: int
    valid_until_ms: int
    fetched_at_ms: int


class SigningCertificates:
    """The certificates seen lately. One per process and event loop."""

    def __init__(self, source: Source, realm: Realm, clock: Clock) -> None:
        self._source = source
        self._realm = realm
        self._clock = clock
        self._known: dict[str, Signer] = {}
        self._asked_at_ms: list[int] = []
        self._flight: SingleFlight[str, None] = SingleFlight()

    async def prepare(self, url: str) -> None:
        """Know the certificate at a URL. Raise EventRefused for a URL that is not PayPal's, else RailUnavailable."""
        self._check_url(url)
        if self._fresh(url) is None:
            if not self._flight.is_under_way(url):
                self._count_fetch()
            await self._flight.run(url, lambda: self._fetch(url))
            if self._fresh(url) is None:
                raise RailUnavailable("PayPal")

    def key_of(self, url: str, *, now_ms: int) -> rsa.RSAPublicKey:
        """The key of a certificate that was prepared and is valid now. Raise EventRefused."""
        self._check_url(url)
        signer = self._fresh(url)
        if signer is None or not signer.valid_from_ms <= now_ms <= signer.valid_until_ms:
            raise EventRefused("its certificate is not valid")
        return signer.key

    def _check_url(self, url: str) -> None:
        """Whole and plain: no name, port, query or fragment. A URL that two parsers read differently is two URLs."""
        scheme, _, rest = url.partition("://")
        host, slash, path = rest.partition("/")
        if scheme != "https" or host not in self._realm.hosts or not _PATH.fullmatch(slash + path):
            raise EventRefused("its certificate is not PayPal's")

    def _fresh(self, url: str) -> Signer | None:
        signer = self._known.get(url)
        return signer if signer is not None and self._clock() - signer.fetched_at_ms < KEPT_MS_MAX else None

    def _count_fetch(self) -> None:
        now_ms = self._clock()
        self._asked_at_ms = [at_ms for at_ms in self._asked_at_ms if now_ms - at_ms < 60_000]
        if len(self._asked_at_ms) >= FETCHES_PER_MINUTE_MAX:
            raise RailUnavailable("PayPal")
        self._asked_at_ms.append(now_ms)

    async def _fetch(self, url: str) -> None:
        now_ms = self._clock()
        self._known.pop(url, None)
        try:
            content, roots = await both(self._source.chain(url), self._source.roots())
            signer = verified(_certificates(content), roots, self._realm.names, at_ms=now_ms)
        except (AddressRefused, OSError, ValueError, VerificationError, ExtensionNotFound) as error:
            # Nobody but PayPal's own host can have sent it, so it may be better soon; until then nothing is believed.
            write_line("ERROR", "paypal_certificate_failed", error=type(error).__name__)
            return
        self._known[url] = signer
        while len(self._known) > KEPT_MAX:
            del self._known[next(iter(self._known))]


def verified(chain: Sequence[Certificate], roots: Sequence[Certificate], names: Sequence[str], *, at_ms: int) -> Signer:
    """Who the first certificate belongs to, if the others lead from it to a root, all are valid then, and it is made
    out to one of the names. Raise VerificationError or ValueError.
    """
    leaf, *others = chain[:CHAIN_MAX]
    path = _path(leaf, others, Store(list(roots)), names, datetime.fromtimestamp(at_ms / 1000, UTC))
    key = leaf.public_key()
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < KEY_BITS_MIN:
        raise ValueError("PayPal signs with RSA")
    return Signer(
        key,
        valid_from_ms=max(_ms(one.not_valid_before_utc) for one in path),
        valid_until_ms=min(_ms(one.not_valid_after_utc) for one in path),
        fetched_at_ms=at_ms,
    )


def _path(
    leaf: Certificate, others: list[Certificate], store: Store, names: Sequence[str], at: datetime
) -> list[Certificate]:
    refusal: VerificationError | None = None
    for name in names:
        verifier = PolicyBuilder().store(store).time(at).build_server_verifier(DNSName(name))
        try:
            return verifier.verify(leaf, others)
        except VerificationError as error:
            refusal = error
    raise refusal or ValueError("no name to verify")


def _certificates(content: bytes) -> list[Certificate]:
    """Raise ValueError when there are none."""
    with warnings.catch_warnings():
        # Some public roots are older than the rules that the library warns of.
        warnings.simplefilter("ignore")
        return load_pem_x509_certificates(content)


def _read_system_roots() -> bytes:
    """The roots of the operating system, which every TLS connection of ours trusts too."""
    paths = ssl.get_default_verify_paths()
    files = [Path(paths.cafile)] if paths.cafile else sorted(Path(paths.capath or "/etc/ssl/certs").glob("*.[0-9]"))
    return b"\n".join(file.read_bytes() for file in files)


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
