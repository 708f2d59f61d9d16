"""Razorpay's webhooks: proved on the raw bytes, and named by them.

https://razorpay.com/docs/webhooks/validate-test. Razorpay's library compares text and fails on what is no ASCII. What
is signed does not say when it was sent, so whoever has an old event can send it again: it leads to a look, which is
harmless. The header `x-razorpay-event-id` is not signed. An event's name is the hash of what is: a repeat has the same.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from shared.base.secret import Secret
from shared.base.signing_secrets import parse_signing_secrets
from shared.payments.errors import EventRefused
from shared.payments.models import Event, RailName, Subject

HEADER = "x-razorpay-signature"
SETTING = "RAZORPAY_WEBHOOK_SECRET"
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_KIND = re.compile(r"[a-z0-9_.]{1,100}")
_IDS = {
    "dispute": re.compile(r"disp_[A-Za-z0-9]{1,40}"),
    "refund": re.compile(r"rfnd_[A-Za-z0-9]{1,40}"),
    "payment": re.compile(r"pay_[A-Za-z0-9]{1,40}"),
    "order": re.compile(r"order_[A-Za-z0-9]{1,40}"),
}
"""Objects from which a payment can be found, the most telling first: an event holds several."""


class _Entity(Struct, frozen=True):
    id: str = ""


class _Holder(Struct, frozen=True):
    entity: _Entity = _Entity()


class _Payload(Struct, frozen=True):
    dispute: _Holder | None = None
    refund: _Holder | None = None
    payment: _Holder | None = None
    order: _Holder | None = None


class _Envelope(Struct, frozen=True):
    event: str
    payload: _Payload


class RazorpayEvents:
    """Reads Razorpay's events with one secret, or two: after a change, retries of a day are signed with the old one."""

    name = RailName.RAZORPAY

    def __init__(self, secrets: Secret) -> None:
        """`secrets` has a comma between two. Raise ValueError when it has none, an empty one, or more."""
        self._secrets = parse_signing_secrets(secrets, SETTING)

    async def prepare(self, headers: Mapping[str, str], *, now_ms: int) -> None:
        """The secret is all it takes."""

    def read(self, raw: bytes, headers: Mapping[str, str], *, now_ms: int) -> Event:
        if not _is_signed(raw, headers.get(HEADER, ""), self._secrets):
            raise EventRefused("the signature is wrong")
        try:
            envelope = msgspec.json.decode(raw, type=_Envelope)
        except (msgspec.DecodeError, RecursionError):
            raise EventRefused("it is no event") from None
        if not _KIND.fullmatch(envelope.event):
            raise EventRefused("it has no name")
        digest = hashlib.sha256(raw).hexdigest()
        return Event(
            rail=self.name,
            event_id=digest,
            kind=envelope.event,
            subject=_subject(envelope.payload),
            body_sha256=digest,
        )


def _is_signed(raw: bytes, signature: str, secrets: Sequence[bytes]) -> bool:
    if not _SIGNATURE.fullmatch(signature):
        return False
    wanted = [hmac.new(secret, raw, hashlib.sha256).hexdigest() for secret in secrets]
    # Each is compared, so that the time it takes says nothing of which one fits.
    return sum(hmac.compare_digest(signature, want) for want in wanted) > 0


def _subject(payload: _Payload) -> Subject | None:
    for kind, pattern in _IDS.items():
        holder: _Holder | None = getattr(payload, kind)
        if holder is not None and pattern.fullmatch(holder.entity.id):
            return Subject(kind, holder.entity.id)
    return None
