"""What is bought and what was paid for it: orders, what a rail shows of a payment, and what undoes one."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NewType

from msgspec import Struct

from shared.base.body import Body
from shared.base.ids import AccountId, UserId
from shared.payments.crypto.models import Claim, TransferTerms

OrderId = NewType("OrderId", str)
PaymentId = NewType("PaymentId", str)
"""A provider's id of one payment in the real world. Only unique together with its rail."""

PAYMENT_APPLY = "payment_apply"
ORDER_CHECK = "order_check"
"""The functions that tasks of this package are posted to."""


class RailName(StrEnum):
    """The ways that money comes in."""

    STRIPE = "stripe"
    PAYPAL = "paypal"
    RAZORPAY = "razorpay"
    CRYPTO = "crypto"
    """A dollar on a chain, which the buyer sends and then claims."""
    X402 = "x402"
    """The same dollar, which a program signs over and a facilitator carries out."""


class Money(Struct, frozen=True):
    """An amount in the smallest unit of its currency."""

    amount_minor: int
    currency: str
    """Three capital letters (ISO 4217), whatever the rail writes."""


class OrderState(StrEnum):
    """Where an order stands. Only `rules.TRANSITIONS` leads from one to another."""

    CREATED = "created"
    """Kept here; the rail may not know of it yet."""
    PENDING = "pending"
    """The rail waits for the buyer, or for the buyer's bank."""
    PAID = "paid"
    """The money is there and bound to this order; the credits are on their way."""
    GRANTED = "granted"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"
    """In full. After a part it is still granted."""
    DISPUTED = "disputed"
    """A dispute is open, or was lost."""


class Checkout(Struct, frozen=True):
    """What the rail made of an order: its own id for it, and where or with what the buyer pays."""

    reference: str
    url: str | None
    """The rail's page; None for a rail whose checkout opens in the app's own."""
    parameters: Mapping[str, str | int] = {}
    """What the app opens such a checkout with. Nothing secret."""
    terms: TransferTerms | None = None
    """On a chain: what must be sent, and where."""


class ReversalKind(StrEnum):
    """What undoes a payment, or may."""

    REFUND = "refund"
    DISPUTE = "dispute"
    WARNING = "warning"
    """A bank says that the payment is probably fraud; no money has moved yet."""


class ReversalState(StrEnum):
    """What became of the credits in question."""

    OPEN = "open"
    """As many as were unspent are set aside until it is decided."""
    TAKEN = "taken"
    """They are taken back, into debt where they were spent."""
    RETURNED = "returned"
    """The buyer has them again."""


class Reversal(Struct, frozen=True, kw_only=True):
    """One refund, dispute or warning. Its amounts are frozen when it is first seen, so a repeat posts the same."""

    kind: ReversalKind
    state: ReversalState
    credits_micros: int
    bonus_micros: int
    amount_minor: int
    was_taken: bool = False
    """True once it was decided to take credits back, whatever became of them later."""
    reason: str = ""
    """As the rail says it."""


class RefundRequest(Struct, frozen=True, kw_only=True):
    """A refund that its buyer asked for: the credits wait in an account of their own until the rail has made it."""

    escrow_id: AccountId
    asked_at_ms: int


class HoldState(StrEnum):
    """Whether credits that were put aside still are."""

    HELD = "held"
    ENDED = "ended"
    """They went into the wallet, to stay or to be taken back there."""


class Hold(Struct, frozen=True, kw_only=True):
    """Why the credits of a purchase wait for a person, and in which account."""

    reason: str
    escrow_id: AccountId
    state: HoldState = HoldState.HELD


class Order(Struct, frozen=True, kw_only=True):
    """One purchase. Price, currency and credits are frozen when it is made; no event says what they are."""

    order_id: OrderId
    owner: UserId
    rail: RailName
    pack_id: str
    money: Money
    credits_micros: int
    bonus_micros: int
    state: OrderState
    created_at_ms: int
    expires_at_ms: int
    checkout: Checkout | None = None
    claims: tuple[Claim, ...] = ()
    """By which payments on a chain its buyer says to have paid it. None is believed before the chain shows it."""
    payment_id: PaymentId | None = None
    paid_at_ms: int | None = None
    reversals: Mapping[str, Reversal] = {}
    """By the rail's ids."""
    refund_request: RefundRequest | None = None
    refund_notes: Mapping[str, str] = {}
    """Who gave money back, and why, by the key of the request."""
    invoice: str | None = None
    declines: int = 0
    """How many payments for it were declined."""
    hold: Hold | None = None

    @property
    def is_held(self) -> bool:
        """Whether its credits wait for a person."""
        return self.hold is not None and self.hold.state is HoldState.HELD

    @property
    def wallet_id(self) -> AccountId:
        """Whose credits they are."""
        return AccountId(f"user:{self.owner}")


class PaymentStatus(StrEnum):
    """What a rail says of a payment, in our words."""

    OPEN = "open"
    """Nothing was paid yet, and it still can be."""
    PENDING = "pending"
    """The buyer did what they had to; the money is under way."""
    PAID = "paid"
    FAILED = "failed"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    """A word that we do not know. A person looks."""
    OTHER_MODE = "other_mode"
    """Of test money where this deployment takes real money, or the reverse. A person looks."""


class RefundSeen(Struct, frozen=True):
    """A refund as the rail shows it."""

    refund_id: str
    amount_minor: int
    is_made: bool | None
    """False when it failed, so that the money stayed with us; None for a status that we do not know."""
    reason: str


class DisputeSeen(Struct, frozen=True):
    """A dispute as the rail shows it."""

    dispute_id: str
    money: Money
    """May differ from what was paid, and be in another currency."""
    state: ReversalState | None
    """None for a status that we do not know."""
    status: str
    reason: str


class DeclineSeen(Struct, frozen=True):
    """A payment that was tried and declined."""

    decline_id: str
    card: str | None


class Seen(Struct, frozen=True, kw_only=True):
    """All that a rail shows of one payment now. Events are hints to look; this is what is believed."""

    rail: RailName
    order_id: OrderId | None
    """Which order the rail's object names; None when it is none of ours."""
    status: PaymentStatus
    status_word: str
    """As the rail says it, for whoever reviews."""
    payment_id: PaymentId | None = None
    money: Money | None = None
    refunds: tuple[RefundSeen, ...] = ()
    """Oldest first."""
    disputes: tuple[DisputeSeen, ...] = ()
    warnings: tuple[str, ...] = ()
    card: str | None = None
    """The fingerprint of the card that paid: the same for one number, whoever uses it. None where there is no card."""
    declines: tuple[DeclineSeen, ...] = ()


class Subject(Struct, frozen=True):
    """Which of a rail's objects to look at."""

    kind: str
    object_id: str


class Event(Struct, frozen=True, kw_only=True):
    """A verified event of a rail: its id, what it is about, and nothing of what it claims."""

    rail: RailName
    event_id: str
    kind: str
    subject: Subject | None
    """None for kinds that are nothing to us."""
    body_sha256: str
    is_of_other_mode: bool = False
    """It tells of test money where this deployment takes real money, or the reverse."""


class Review(Struct, frozen=True, kw_only=True):
    """Something that a person must look at. Nothing was granted for it."""

    rail: RailName
    reason: str
    subject: str
    """Which payment, dispute or event. One subject is reviewed once for one reason."""
    order_id: OrderId | None
    expected: str
    found: str


class PaymentApply(Body, frozen=True, kw_only=True):
    """What a task of `payment_apply` says: a whole event, which nobody but the queue has until it is done."""

    event: Event
    received_at_ms: int


class OrderCheck(Body, frozen=True, kw_only=True):
    """What a task of `order_check` says."""

    order_id: str
