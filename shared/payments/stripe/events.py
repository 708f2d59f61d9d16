"""Stripe's webhooks: proved on the raw bytes, more strictly than Stripe's own library does it.

https://docs.stripe.com/webhooks#verify-manually. The library accepts times in the future, and a tolerance of 0 turns
its check off; an empty secret would let anybody sign.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from shared.base.payment_mode import PaymentMode
from shared.base.secret import Secret
from shared.base.signing_secrets import parse_signing_secrets
from shared.payments.errors import EventRefused
from shared.payments.models import Event, RailName, Subject

HEADER = "stripe-signature"
SETTING = "STRIPE_WEBHOOK_SECRET"
HEADER_CHARS_MAX = 2_048
TOLERANCE_MS = 300_000
"""Older and newer by as much. Stripe signs each delivery anew, so a retry of days later is as fresh as the first."""
SIGNATURES_MAX = 8
"""Stripe sends one for each secret of the last day."""
SUBJECT_KINDS = frozenset(
    {"checkout.session", "payment_intent", "charge", "refund", "dispute", "radar.early_fraud_warning"}
)
"""Objects from which a payment can be found. All other events lead to nothing."""
_TIME = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[A-Za-z0-9_]{1,255}")
_KIND = re.compile(r"[a-z0-9_.]{1,100}")


class _Object(Struct, frozen=True):
    object: str = ""
    id: str = ""


class _Holder(Struct, frozen=True):
    object: _Object


class _Envelope(Struct, frozen=True):
    id: str
    type: str
    data: _Holder
    livemode: bool | None = None


class StripeEvents:
    """Reads Stripe's events of one mode with one secret, or two while one replaces the other."""

    name = RailName.STRIPE

    def __init__(self, secrets: Secret, mode: PaymentMode) -> None:
        """`secrets` has a comma between two. Raise ValueError when it has none, an empty one, or more."""
        self._mode = mode
        self._secrets = parse_signing_secrets(secrets, SETTING)

    async def prepare(self, headers: Mapping[str, str], *, now_ms: int) -> None:
        """The secret is all it takes."""

    def read(self, raw: bytes, headers: Mapping[str, str], *, now_ms: int) -> Event:
        check_signature(raw, headers, self._secrets, now_ms=now_ms)
        try:
            envelope = msgspec.json.decode(raw, type=_Envelope)
        except (msgspec.DecodeError, RecursionError):
            raise EventRefused("it is no event") from None
        if not _ID.fullmatch(envelope.id) or not _KIND.fullmatch(envelope.type):
            raise EventRefused("it has no name")
        return Event(
            rail=self.name,
            event_id=envelope.id,
            kind=envelope.type,
            subject=_subject(envelope.data.object),
            body_sha256=hashlib.sha256(raw).hexdigest(),
            is_of_other_mode=envelope.livemode is not self._mode.is_live,
        )


def check_signature(raw: bytes, headers: Mapping[str, str], secrets: Sequence[bytes], *, now_ms: int) -> None:
    """Raise EventRefused for whatever Stripe did not sign just now with one of the secrets."""
    time, signatures = _parse(headers.get(HEADER, ""))
    # The signature first: who does not know the secret learns nothing of our clock.
    if not _is_signed(raw, time, signatures, secrets):
        raise EventRefused("the signature is wrong")
    if abs(now_ms - int(time) * 1000) > TOLERANCE_MS:
        raise EventRefused("it was not signed just now")


def _parse(header: str) -> tuple[str, list[str]]:
    """The one time and the signatures of a header. Raise EventRefused for any other form."""
    if len(header) > HEADER_CHARS_MAX:
        raise EventRefused("it is not signed")
    parts = [part.partition("=") for part in header.split(",")]
    times = [value for name, _, value in parts if name == "t"]
    signatures = [value for name, _, value in parts if name == "v1" and _SIGNATURE.fullmatch(value)]
    if len(times) != 1 or not _TIME.fullmatch(times[0]) or not 0 < len(signatures) <= SIGNATURES_MAX:
        raise EventRefused("it is not signed")
    return times[0], signatures


def _is_signed(raw: bytes, time: str, signatures: Sequence[str], secrets: Sequence[bytes]) -> bool:
    signed = time.encode() + b"." + raw
    wanted = [hmac.new(secret, signed, hashlib.sha256).hexdigest() for secret in secrets]
    # Every pair is compared, so that the time it takes says nothing of which one fits.
    return sum(hmac.compare_digest(have, want) for have in signatures for want in wanted) > 0


def _subject(found: _Object) -> Subject | None:
    if found.object not in SUBJECT_KINDS or not _ID.fullmatch(found.id):
        return None
    return Subject(found.object, found.id)
