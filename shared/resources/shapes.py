"""What functions about contributed keys take and answer, and the way from a key's own values."""

from typing import Annotated

from msgspec import Meta

from shared.base.body import LAST, Body
from shared.resources.health import trust_in
from shared.resources.models import Complaint, ContributedKey

KeyIdText = Annotated[str, Meta(pattern=rf"^[a-z2-7]{{12}}{LAST}")]
ComplaintIdText = Annotated[str, Meta(pattern=rf"^[0-9a-f]{{64}}{LAST}")]
ProviderName = Annotated[str, Meta(pattern=rf"^[a-z][a-z0-9_-]{{0,63}}{LAST}")]


class ContributionTrust(Body, frozen=True, kw_only=True):
    """How far the key is trusted, in millionths, and why."""

    ppm: int
    reasons: list[str]


class ContributionView(Body, frozen=True, kw_only=True):
    """A contributed key as its owner sees it. Nothing here helps anybody to the key itself."""

    key_id: str
    provider: str
    models: list[str]
    status: str
    quota_micros: int
    used_micros: int
    """What settled calls have used of it, the owner's own included."""
    calls: int
    settled_paid_micros: int
    settled_promo_micros: int
    """What the owner has of those calls, what they earned of the advance included."""
    advance_micros: int
    advance_locked_micros: int
    """What of the advance is not earned yet: nobody can spend it, and it goes back when the key ends before."""
    advance_account_id: str
    trust: ContributionTrust
    validated_at_ms: int | None
    cool_until_ms: int | None
    created_at_ms: int


class ContributionAnswer(Body, frozen=True, kw_only=True):
    """One contribution."""

    contribution: ContributionView


class ContributionAsked(Body, frozen=True, kw_only=True):
    """Which contribution."""

    key_id: KeyIdText


def view_of(key: ContributedKey, at_ms: int) -> ContributionView:
    """The key as it is shown."""
    trust = trust_in(key, at_ms)
    is_over = key.check_at_ms is None and not key.advance_due and key.sealed is None
    return ContributionView(
        key_id=key.id,
        provider=key.provider,
        models=list(key.models),
        status=key.status.value,
        quota_micros=key.quota_micros,
        used_micros=key.used_micros + key.own_micros,
        calls=key.calls,
        settled_paid_micros=key.paid_micros,
        settled_promo_micros=key.promo_micros,
        advance_micros=key.advance_micros,
        advance_locked_micros=0 if is_over else key.advance_micros - key.earned_micros,
        advance_account_id=key.advance_id,
        trust=ContributionTrust(ppm=trust.ppm, reasons=list(trust.reasons)),
        validated_at_ms=key.validated_at_ms,
        cool_until_ms=key.cool_until_ms,
        created_at_ms=key.created_at_ms,
    )


class ComplaintView(Body, frozen=True, kw_only=True):
    """A complaint as operators see it, and whether it lowers the key's trust."""

    complaint_id: str
    key_id: str
    receipt_id: str
    account_id: str
    by: str
    defect: str
    counts: bool
    at_ms: int
    upheld: bool | None
    """What was decided; null while nobody has."""
    reason: str | None


def complaint_view(complaint: Complaint) -> ComplaintView:
    """The complaint as it is shown."""
    judgement = complaint.judgement
    return ComplaintView(
        complaint_id=complaint.id,
        key_id=complaint.key_id,
        receipt_id=complaint.receipt_id,
        account_id=complaint.account_id,
        by=complaint.by,
        defect=complaint.defect.value,
        counts=complaint.counts,
        at_ms=complaint.at_ms,
        upheld=judgement.upheld if judgement else None,
        reason=judgement.reason if judgement else None,
    )
