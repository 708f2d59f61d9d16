"""What a provider's books say, what we keep of a day of them, and a difference that somebody must look at."""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from shared.payments.models import Money, OrderId, PaymentId, RailName


class LineKind(StrEnum):
    """What moved a provider's balance, in our words."""

    PAYMENT = "payment"
    REFUND = "refund"
    """Also one that failed and came back, with the other sign."""
    DISPUTE = "dispute"
    """Also one that was won, with the other sign."""
    TRANSFER = "transfer"
    """To a creator, or back from one."""
    PAYOUT = "payout"
    """To our bank, or back from it."""
    OTHER = "other"
    """Fees of no single payment, adjustments, and what we do not know by name."""


class Line(Struct, frozen=True, kw_only=True):
    """One movement of our balance at a provider."""

    line_id: str
    kind: LineKind
    amount_minor: int
    """Before fees, in the currency of the balance; negative where money left us."""
    fee_minor: int | None
    """What the provider kept; None while it does not say."""
    currency: str
    at_ms: int
    about: str
    """The provider's id of what moved: a charge, a refund, a dispute, a payout."""
    payment_id: PaymentId | None = None
    order_id: OrderId | None = None
    """What the provider's object names, if anything."""
    earner_payout: str | None = None
    """Which of our payouts to earners a transfer is of, as the provider's object names it."""
    money: Money | None = None
    """What the buyer paid, got back or disputes, in the buyer's currency; never negative."""
    is_void: bool = False
    """True for both lines of what failed after it was made: whoever never saw it needs to know nothing of it."""
    is_ours: bool = False
    """True where nobody else sells: a payment that is of no order is then missing here, and no stranger's."""

    @property
    def net_minor(self) -> int:
        return self.amount_minor - (self.fee_minor or 0)


class Page(Struct, frozen=True):
    """Some of the lines that were asked for, and from where to go on; None at the end."""

    lines: tuple[Line, ...]
    cursor: str | None


class BankPayout(Struct, frozen=True, kw_only=True):
    """Money that a provider sent to our bank."""

    payout_id: str
    amount_minor: int
    currency: str
    has_arrived: bool = True
    """False for one that ought to be at our bank by now and is not."""
    bank_reference: str = ""
    """By which our bank names it; empty where the provider does not tell."""
    lists_lines: bool = True
    """False for one that was made by hand: its provider does not say what is in it."""


class Compared(Struct, frozen=True):
    """A provider's line held against our side."""

    line: Line
    is_booked: bool
    differences: "list[Difference]"


class Booked(Struct, frozen=True):
    """A line as we keep it."""

    line: Line
    payout_id: str | None = None
    """The payout that took it to our bank, once one did."""


class Sums(Struct, frozen=True, kw_only=True):
    """What lines of one currency add up to. Signed like lines; fees are positive where the provider kept them."""

    took_minor: int = 0
    gave_back_minor: int = 0
    disputed_minor: int = 0
    transferred_minor: int = 0
    paid_out_minor: int = 0
    other_minor: int = 0
    fees_minor: int = 0
    lines: int = 0
    fees_unknown: int = 0

    @property
    def balance_change_minor(self) -> int:
        """By how much our balance at the provider grew."""
        moved = self.took_minor + self.gave_back_minor + self.disputed_minor
        return moved + self.transferred_minor + self.paid_out_minor + self.other_minor - self.fees_minor


class DayBook(Struct, frozen=True, kw_only=True):
    """One rail, currency and UTC day."""

    rail: RailName
    day: str
    currency: str
    sums: Sums


Micros = Mapping[str, Mapping[str, int]]
"""By account, then by origin."""


class HouseDay(Struct, frozen=True, kw_only=True):
    """What moved on the house's accounts on a UTC day. Accounts and origins on which nothing moved are left out."""

    day: str
    opening: Micros
    """What stood on the accounts when the day began, all windows before it settled."""
    moved: Micros
    cursors: Mapping[str, int]
    """By account: the last entry before the first one of a later day."""
    by_rail: Micros = {}
    """By account that stands for money, then by rail, of the postings themselves; none until all are compared."""


class Progress(Struct, frozen=True, kw_only=True):
    """How far a run over one day has come. Written together with what it tells of."""

    step: str
    cursor: str | None = None
    sums: Mapping[str, Sums] = {}
    """By currency, of what was read so far."""
    name: str = ""
    """The payout that is being read, or was read last."""
    counts: Mapping[str, int] = {}
    """What is counted on the way: lines, or what a payout's lines come to by currency."""
    is_done: bool = False
    fees_unknown: int = 0


class TicketKind(StrEnum):
    """How two sides differ."""

    MISSING_HERE = "missing_here"
    MISSING_THERE = "missing_there"
    AMOUNT_DIFFERS = "amount_differs"
    FEE_UNKNOWN = "fee_unknown"
    FEE_UNEXPLAINED = "fee_unexplained"
    """The provider kept another fee than it had told."""
    PAID_TWICE = "paid_twice"
    """Another payment for what is paid already, and not given back."""
    CURRENCY_DIFFERS = "currency_differs"
    LATE = "late"


class SubjectKind(StrEnum):
    """What a difference is about, which says how to look at it again."""

    LINE = "line"
    ORDER = "order"
    PAYOUT = "payout"
    DAY = "day"
    """All lines of a day, as they are counted."""
    CONTENT = "content"
    """A line as a payout counts it, where that is told by other books than lines are."""
    BALANCE = "balance"
    """By how much our balance in a currency grew on a day."""
    UNPAID = "unpaid"
    """Lines of a day in one currency that no payout has taken to the bank."""
    EARNER_PAYOUT = "earner_payout"
    """What we paid to an earner."""
    ENTRY = "entry"
    """A posting of the ledger."""
    LEDGER = "ledger"
    """All postings of a day against one of the house's accounts, as they are settled."""


class Thing(Struct, frozen=True):
    """What a difference is about."""

    kind: SubjectKind
    name: str
    day: str


class Difference(Struct, frozen=True, kw_only=True):
    """Two sides that ought to say the same."""

    rail: RailName
    thing: Thing
    kind: TicketKind
    currency: str
    ours: str
    theirs: str


class TicketState(StrEnum):
    """Whether the two sides still differ."""

    OPEN = "open"
    RESOLVED = "resolved"
    ACCEPTED = "accepted"
    """They differ and always will; a person has said why. Open again once either side says something else."""


class TicketDecision(Struct, frozen=True, kw_only=True):
    """Why a difference that stays was closed, by whom, when, and what the two sides said then."""

    by: str
    why: str
    at_ms: int
    ours: str
    theirs: str


class Ticket(Struct, frozen=True, kw_only=True):
    """A difference on the record. There is one for each thing and kind, whatever happens how often."""

    difference: Difference
    state: TicketState
    first_seen_ms: int
    last_seen_ms: int
    resolved_ms: int | None = None
    decisions: tuple[TicketDecision, ...] = ()
    """Oldest first: one for each time that it was accepted, none of which is ever changed."""
