"""Google's keys for callbacks of rewarded ads: fetched, kept for a day at most, and asked for a signature."""

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from msgspec import Struct

from shared.ads.errors import CallbackForged, VerifierKeysUnavailable
from shared.ads.models import SignedCallback
from shared.base.clock import Clock
from shared.base.egress import AddressRefused
from shared.base.flight import SingleFlight
from shared.base.log import write_line

if TYPE_CHECKING:
    from shared.base.fetcher import Fetcher

KEYS_LIFETIME_MS = 86_400_000
"""Google's own bound: keys that it withdrew are not trusted for longer."""
UNKNOWN_KEY_REFETCH_MS = 60_000
"""A key we have not seen may be new, or made up by anybody: then we look again, this often at most."""
FAILED_REFETCH_MS = 1_000
"""While there are no keys at all. AdMob repeats a callback a second apart, and strangers as they please."""
KEYS_BYTES_MAX = 65_536
"""A hundred times the file of today, which has two or three keys."""
KEYS_MAX = 100
FETCH_TIMEOUT_S = 5.0

ReadKeys = Callable[[], Awaitable[bytes]]
"""Reads the published file anew. Raise AddressRefused or OSError when it cannot be had."""


class _PublishedKey(Struct, frozen=True):
    key_id: int = msgspec.field(name="keyId")
    base64: str = ""


class _PublishedFile(Struct, frozen=True):
    keys: list[_PublishedKey]


class _Known(Struct, frozen=True):
    keys: Mapping[str, ec.EllipticCurvePublicKey]
    fetched_at_ms: int


def _new_fetcher() -> "Fetcher":
    # Loaded with the first callback: it brings an HTTP client, which nothing else of the function needs.
    from shared.base.fetcher import Fetcher

    return Fetcher()


def keys_at(url: str, new_fetcher: "Callable[[], Fetcher]" = _new_fetcher) -> ReadKeys:
    """Keys that are published at a URL. They are read once a day, so no connection is kept."""

    async def read() -> bytes:
        fetcher = new_fetcher()
        try:
            found = await fetcher.fetch(
                url, bytes_max=KEYS_BYTES_MAX, media_types={"application/json"}, timeout_s=FETCH_TIMEOUT_S
            )
        finally:
            await fetcher.close()
        return found.content

    return read


def keys_in(path: str) -> ReadKeys:
    """Keys in a file, where somebody plays AdMob. Settings refuse it in production."""

    async def read() -> bytes:
        return await asyncio.to_thread(Path(path).read_bytes)

    return read


class VerifierKeys:
    """The published keys. One per process and event loop."""

    def __init__(self, read: ReadKeys, clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._known: _Known | None = None
        self._asked_at_ms: int | None = None
        self._flight: SingleFlight[None, None] = SingleFlight()

    async def verify(self, signed: SignedCallback) -> None:
        """Raise CallbackForged unless Google signed it, VerifierKeysUnavailable when that cannot be told."""
        key = await self._find(signed.key_id)
        if key is None:
            raise CallbackForged
        try:
            key.verify(signed.signature, signed.message, ec.ECDSA(SHA256()))
        except InvalidSignature:
            raise CallbackForged from None

    async def _find(self, key_id: str) -> ec.EllipticCurvePublicKey | None:
        known = self._fresh()
        if known is None or key_id not in known.keys:
            await self._refresh(UNKNOWN_KEY_REFETCH_MS if known else FAILED_REFETCH_MS)
            known = self._fresh()
        if known is None:
            raise VerifierKeysUnavailable
        return known.keys.get(key_id)

    def _fresh(self) -> _Known | None:
        known = self._known
        return known if known is not None and self._clock() - known.fetched_at_ms < KEYS_LIFETIME_MS else None

    async def _refresh(self, wait_ms: int) -> None:
        """Ask Google, unless that was done so short a time ago, whatever came of it. All who wait share one try."""
        if self._asked_at_ms is None or self._clock() - self._asked_at_ms >= wait_ms or self._flight.is_under_way(None):
            await self._flight.run(None, self._fetch)

    async def _fetch(self) -> None:
        asked_at_ms = self._asked_at_ms = self._clock()
        try:
            keys = _keys_of(await self._read())
        except (AddressRefused, OSError, msgspec.DecodeError, _NoKeys) as error:
            write_line("WARNING", "ad_keys_failed", error=type(error).__name__)
            return
        self._known = _Known(keys, asked_at_ms)


class _NoKeys(Exception):
    """The file has no key that we can use."""


def _keys_of(content: bytes) -> dict[str, ec.EllipticCurvePublicKey]:
    published = msgspec.json.decode(content, type=_PublishedFile).keys[:KEYS_MAX]
    keys = {str(one.key_id): key for one in published if (key := _key_of(one.base64)) is not None}
    if not keys:
        raise _NoKeys
    return keys


def _key_of(der: str) -> ec.EllipticCurvePublicKey | None:
    """None for a key of another kind: those beside it are still good."""
    try:
        key = load_der_public_key(base64.b64decode(der, validate=True))
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1) else None
