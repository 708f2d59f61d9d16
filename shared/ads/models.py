"""Views of rewarded ads: what was offered to whom, what AdMob says came of it, and what a person has had."""

from enum import StrEnum
from typing import NewType

from msgspec import Struct

from shared.base.ids import AccountId, UserId

Nonce = NewType("Nonce", str)
"""Names one view. The app hands it to AdMob as custom data, and gets it back only through Google's signature."""


class ViewStatus(StrEnum):
    """Where a view stands."""

    OFFERED = "offered"
    COUNTED = "counted"
    """AdMob's word is recorded; the credits are on their way."""
    GRANTED = "granted"
    REFUSED = "refused"
    """It was watched, and earns nothing: see `refusal`."""


class Refusal(StrEnum):
    """Why a callback that Google signed earns nothing. Asking again would not help."""

    NONCE_UNKNOWN = "nonce_unknown"
    NONCE_USED = "nonce_used"
    TRANSACTION_USED = "transaction_used"
    OFFER_EXPIRED = "offer_expired"
    BEFORE_OFFER = "before_offer"
    OTHER_TIER = "other_tier"
    OTHER_USER = "other_user"
    CAP_REACHED = "cap_reached"
    TOO_SOON = "too_soon"


class View(Struct, frozen=True, kw_only=True):
    """One ad that a person was offered to watch."""

    nonce: Nonce
    user_id: UserId
    tier: str
    started_at_ms: int
    expires_at_ms: int
    status: ViewStatus = ViewStatus.OFFERED
    transaction_id: str | None = None
    """AdMob's name for the reward; set once it is counted."""
    amount_micros: int | None = None
    refusal: Refusal | None = None


class Reward(Struct, frozen=True, kw_only=True):
    """A view that was counted."""

    nonce: Nonce
    tier: str
    transaction_id: str
    amount_micros: int
    rewarded_at_ms: int
    """By Google's clock."""
    granted: bool = False
    """Whether the credits are known to be in the wallet."""


class Allowance(Struct, frozen=True, kw_only=True):
    """What a person has begun and had lately: the one document that their caps are kept by."""

    user_id: UserId
    started_at_ms: int = 0
    rewards: tuple[Reward, ...] = ()

    @property
    def account_id(self) -> AccountId:
        """The wallet that is paid."""
        return AccountId(f"user:{self.user_id}")


class Callback(Struct, frozen=True, kw_only=True):
    """What AdMob says. The amount in it is not read: what an ad earns is ours to say."""

    ad_unit: str
    timestamp_ms: int
    transaction_id: str
    custom_data: str | None
    user_id: str | None


class SignedCallback(Struct, frozen=True):
    """A callback, and what its signature is over. Nothing is verified yet."""

    callback: Callback
    message: bytes
    signature: bytes
    key_id: str


class Offer(Struct, frozen=True):
    """A view that may begin, and what is left of the day after it."""

    view: View
    amount_micros: int
    left_today: int


class OutcomeStatus(StrEnum):
    """What became of a callback."""

    GRANTED = "granted"
    """Now, or when it came before."""
    REFUSED = "refused"
    TRIED = "tried"
    """It was AdMob's dashboard, trying the address."""


class Outcome(Struct, frozen=True):
    """What AdMob is told. It only looks at the status of the response; people may look at the rest."""

    status: OutcomeStatus
    refusal: Refusal | None = None
