"""What functions about payouts take and answer."""

from typing import Annotated

from msgspec import Meta, structs

from shared.base.body import LAST, Body
from shared.payouts.models import Payout

PayoutIdText = Annotated[str, Meta(pattern=rf"^[0-9a-f]{{24}}{LAST}")]
CountryText = Annotated[str, Meta(pattern=rf"^[a-z]{{2}}{LAST}")]
"""ISO 3166-1, in small letters."""


class PayoutView(Body, frozen=True, kw_only=True):
    """A payout as its owner sees it. The amount of money is in the currency's smallest unit."""

    payout_id: str
    state: str
    micros: int
    """The credits that it takes."""
    amount_minor: int
    currency: str
    waits_for: str
    """What kept it from being sent when it was judged last; empty when nothing does."""
    reason: str
    asked_at_ms: int
    hold_until_ms: int
    attempt: int


class WaitingPayoutView(PayoutView, frozen=True, kw_only=True):
    """A payout as who decides of it sees it."""

    owner: str
    destination: str
    """The recipient's account at the provider."""
    is_first: bool
    """Whether nothing was ever paid to this earner."""


def waiting_view_of(payout: Payout) -> WaitingPayoutView:
    """The payout as it is shown to an operator."""
    fields = structs.asdict(view_of(payout))
    return WaitingPayoutView(**fields, owner=payout.owner, destination=payout.destination, is_first=payout.is_first)


def view_of(payout: Payout) -> PayoutView:
    """The payout as it is shown."""
    return PayoutView(
        payout_id=payout.payout_id,
        state=payout.state.value,
        micros=payout.micros,
        amount_minor=payout.amount_minor,
        currency=payout.currency,
        waits_for=payout.waits_for,
        reason=payout.reason,
        asked_at_ms=payout.asked_at_ms,
        hold_until_ms=payout.hold_until_ms,
        attempt=payout.attempt,
    )
