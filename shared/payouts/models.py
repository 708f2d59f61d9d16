"""What is paid out: a payout, who receives it, and what a provider shows of it."""

from enum import StrEnum
from typing import NewType

from msgspec import Struct

from shared.base.body import Body
from shared.base.ids import AccountId, UserId

PayoutId = NewType("PayoutId", str)
PAYOUT_SEND = "payout_send"
PAYOUT_APPLY = "payout_apply"
"""The functions that tasks of this package are posted to."""
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
    """The provider may have been asked, or the money is on its way to the earner's bank."""
    PAID = "paid"
    """The bank has it. It can still send it back."""
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
    hold_until_ms: int = 0
    """Not before: until then the earnings are too young, or it is too early to ask the provider once more."""
    waits_for: str = ""
    """What kept it from being sent when it was judged last."""
    approved_by: str | None = None
    is_recalled: bool = False
    """It is to be refused; whatever of it was sent is fetched back first."""
    reason: str = ""
    """Why it was let go, refused, reversed or sent back."""
    transfer_id: str | None = None
    arrival_id: str | None = None
    """The provider's own payout, from the recipient's balance there to their bank."""
    attempt: int = 1
    attempts_granted: int = 0
    """How many a person allowed beyond `rules.ATTEMPTS_MAX`."""
    failed_at_ms: int | None = None
    paid_at_ms: int | None = None

    @property
    def earner_id(self) -> AccountId:
        """Whose earnings they are."""
        return AccountId(f"earn:{self.owner}")


class Recipient(Struct, frozen=True, kw_only=True):
    """Where an earner's money goes, as the provider showed it last."""

    owner: UserId
    destination: str
    is_active: bool = False
    """Whether the provider knows enough of them to pay them."""
    bank: str | None = None
    """The provider's id of the bank account; never its number."""
    bank_changed_at_ms: int = 0


class RecipientSeen(Struct, frozen=True):
    """What the provider shows of a recipient now."""

    is_active: bool
    bank: str | None


class TransferSeen(Struct, frozen=True):
    """What the provider shows of a payout's transfer."""

    transfer_id: str
    amount_minor: int
    reversed_minor: int

    @property
    def is_reversed(self) -> bool:
        """All of it came back."""
        return self.reversed_minor >= self.amount_minor


class ArrivalState(StrEnum):
    """How far the money is on its way from the provider to the bank."""

    UNDER_WAY = "under_way"
    ARRIVED = "arrived"
    CAME_BACK = "came_back"


class ArrivalSeen(Struct, frozen=True):
    """What the provider shows of the way to the bank."""

    arrival_id: str
    state: ArrivalState
    reason: str = ""


class Earned(Struct, frozen=True):
    """Earnings from paid credits. Whatever promotional credits earned is not among them."""

    paid_micros: int
    """What is there; below zero it is owed."""
    fresh_micros: int | None
    """How much came in so lately that it may not leave yet. None: in too many sales to count."""


class Standing(Struct, frozen=True, kw_only=True):
    """What is true of an earner now, for the rules."""

    recipient: Recipient | None
    wallet_micros: int
    earned_micros: int
    """Earnings from paid credits; below zero they are owed."""
    is_open: bool
    """False when the wallet or the earnings are frozen or closed."""
    is_disputed: bool
    """A purchase of theirs is disputed, under suspicion or set aside, and nobody has decided it yet."""


class PayoutSend(Body, frozen=True, kw_only=True):
    """What a task of `payout_send` says."""

    payout_id: str


class ConnectEvent(Body, frozen=True, kw_only=True):
    """A verified event of the provider's about recipients: which object to look at, and nothing of what it claims."""

    event_id: str
    kind: str
    object_kind: str
    object_id: str
    account: str | None = None
    """The recipient's account that the object belongs to; None for our own."""
