"""PayPal's webhooks: proved by a certificate of PayPal's, on the spot and without asking PayPal about each.

https://developer.paypal.com/api/rest/webhooks/rest/. What is signed is the id and time of a transmission, the webhook's
id and the CRC32 of the body. A CRC32 can be matched by any other body, so the body says no more than where to look.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zlib import crc32

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from msgspec import Struct

from shared.base.webhook_ids import parse_webhook_ids
from shared.payments.errors import EventRefused
from shared.payments.models import Event, RailName, Subject
from shared.payments.paypal.certificates import SigningCertificates

ALGORITHM = "SHA256withRSA"
SIGNATURE_CHARS_MAX = 1_024
AGE_MS_MAX = 4 * 86_400_000
"""PayPal tries 25 times in three days, and does not say that it signs anew; a day is for its own delays. A replay in
that time is an event that is there already."""
AHEAD_MS_MAX = 300_000
SUBJECTS = (
    ("CHECKOUT.ORDER.", "order", "id"),
    ("CHECKOUT.PAYMENT-APPROVAL.", "order", "order_id"),
    ("PAYMENT.CAPTURE.REFUNDED", "refund", "id"),
    ("PAYMENT.CAPTURE.REVERSED", "refund", "id"),
    ("PAYMENT.CAPTURE.", "capture", "id"),
    ("PAYMENT.REFUND.", "refund", "id"),
    ("CUSTOMER.DISPUTE.", "dispute", "dispute_id"),
)
"""How a kind of event begins, what it is about, and where its resource has the id: the first that fits. All others
lead to nothing."""
_TRANSMISSION = re.compile(r"[A-Za-z0-9-]{8,64}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z")
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_KIND = re.compile(r"[A-Z0-9_.-]{1,100}")


class _Envelope(Struct, frozen=True):
    event_type: str
    resource_type: str = ""
    resource: Any = None


class _Transmission(Struct, frozen=True):
    transmission_id: str
    time: str
    """As it was signed."""
    at_ms: int
    signature: bytes
    certificate_url: str


class PayPalEvents:
    """Reads PayPal's events for one webhook, or two while one replaces the other."""

    name = RailName.PAYPAL

    def __init__(self, webhook_ids: str, certificates: SigningCertificates) -> None:
        """`webhook_ids` has a comma between two. Raise ValueError when it has none, a placeholder, or more."""
        self._webhook_ids = parse_webhook_ids(webhook_ids)
        if not self._webhook_ids:
            raise ValueError("PAYPAL_WEBHOOK_ID holds an id")
        self._certificates = certificates

    async def prepare(self, headers: Mapping[str, str], *, now_ms: int) -> None:
        transmission = _parse(headers)
        # Before PayPal is asked for anything: what is refused by itself costs no request.
        _check_time(transmission, now_ms)
        await self._certificates.prepare(transmission.certificate_url)

    def read(self, raw: bytes, headers: Mapping[str, str], *, now_ms: int) -> Event:
        transmission = _parse(headers)
        key = self._certificates.key_of(transmission.certificate_url, now_ms=now_ms)
        if not any(_is_signed(transmission, webhook_id, raw, key) for webhook_id in self._webhook_ids):
            raise EventRefused("the signature is wrong")
        _check_time(transmission, now_ms)
        try:
            envelope = msgspec.json.decode(raw, type=_Envelope)
        except (msgspec.DecodeError, RecursionError):
            raise EventRefused("it is no event") from None
        if not _KIND.fullmatch(envelope.event_type):
            raise EventRefused("it is no event")
        # The transmission's id and not the body's, which nothing proves: another body for a signature that was seen
        # once is the same event.
        return Event(
            rail=self.name,
            event_id=transmission.transmission_id,
            kind=envelope.event_type,
            subject=_subject(envelope),
            body_sha256=hashlib.sha256(raw).hexdigest(),
        )


def _parse(headers: Mapping[str, str]) -> _Transmission:
    """Raise EventRefused for headers of any other form."""
    transmission_id = headers.get("paypal-transmission-id", "")
    time = headers.get("paypal-transmission-time", "")
    signature = headers.get("paypal-transmission-sig", "")
    if (
        headers.get("paypal-auth-algo") != ALGORITHM
        or not _TRANSMISSION.fullmatch(transmission_id)
        or not _TIME.fullmatch(time)
        or not 0 < len(signature) <= SIGNATURE_CHARS_MAX
    ):
        raise EventRefused("it is not signed")
    try:
        at_ms = int(datetime.fromisoformat(time[:19] + "+00:00").timestamp()) * 1000
        decoded = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        raise EventRefused("it is not signed") from None
    return _Transmission(transmission_id, time, at_ms, decoded, headers.get("paypal-cert-url", ""))


def _check_time(transmission: _Transmission, now_ms: int) -> None:
    if not -AHEAD_MS_MAX <= now_ms - transmission.at_ms <= AGE_MS_MAX:
        raise EventRefused("it was not signed lately")


def _is_signed(transmission: _Transmission, webhook_id: str, raw: bytes, key: RSAPublicKey) -> bool:
    signed = f"{transmission.transmission_id}|{transmission.time}|{webhook_id}|{crc32(raw)}".encode()
    try:
        key.verify(transmission.signature, signed, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def _subject(envelope: _Envelope) -> Subject | None:
    for beginning, kind, field in SUBJECTS:
        if envelope.event_type.startswith(beginning):
            found = envelope.resource.get(field) if isinstance(envelope.resource, dict) else None
            if not isinstance(found, str) or not _ID.fullmatch(found):
                return None
            # A reversal is told as a refund, or as the capture that it is of.
            return Subject("capture" if envelope.resource_type == "capture" else kind, found)
    return None
