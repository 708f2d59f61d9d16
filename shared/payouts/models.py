"""What is paid out: a payout, who receives it, and what a provider shows of it."""

from enum import StrEnum
from typing import NewType

from msgspec import Struct

from shared.base.ids import AccountId, UserId

PayoutId = NewType("PayoutId", str)
HOUSE_PAYOUTS = AccountId("house:payouts")
"""Credits that are being paid out or were; what comes back to an earner comes from here."""


class PayoutState(StrEnum):
    """Where a payout stands. Only `rules.TRANSITIONS` leads from one to another."""

    ACCRUED = "accrued"
    """Written down; its credits may still be the earner's to spend."""
    HELD = "held"
    """Its credits are set aside, and something is still in the way."""
    RELEASABLE = "releasable"
    TRANSFERRING = "transferring"
    """The provider may have been asked."""
    PAID = "paid"
    FAILED = "failed"
    """The provider will not, or the bank sent it back. It is held again."""
    REVERSED = "reversed"
    """The money came back to us, and the credits went back to the earner."""
    REFUSED = "refused"
    """Never sent; the earner has the credits again."""


class Payout(Struct, frozen=True, kw_only=True):
    """One payout. Credits and money are frozen when it is asked for."""

    payout_id: PayoutId
    owner: UserId
    micros: int
    amount_minor: int
    currency: str
    destination: str
    state: PayoutState
    asked_at_ms: int
    is_first: bool
    approved_by: str | None = None
    reason: str = ""
    """Why it was refused, reversed or sent back."""
    transfer_id: str | None = None
    attempt: int = 1

    @property
    def earner_id(self) -> AccountId:
        """Whose earnings they are."""
        return AccountId(f"earn:{self.owner}")


class Recipient(Struct, frozen=True, kw_only=True):
    """Where an earner's money goes, as the provider showed it last."""

    owner: UserId
    destination: str
    is_active: bool
    bank_changed_at_ms: int


class TransferSeen(Struct, frozen=True):
    """What the provider shows of a payout's transfer."""

    transfer_id: str
    is_reversed: bool


class Standing(Struct, frozen=True, kw_only=True):
    """What is true of an earner now, for the rules."""

    recipient: Recipient | None
    wallet_micros: int
    earned_micros: int
    is_open: bool
    """False when the wallet or the earnings are frozen or closed."""
    is_disputed: bool
