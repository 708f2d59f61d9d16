"""The values of the ledger: what a head, a lot, a hold, a leg and an entry are. All frozen, all integers."""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct, field

from shared.base.ids import AccountId, EntryId, HoldId, UserId
from shared.base.periods import Period

GENESIS_HASH = "0" * 64
"""`prev_hash` of an account's first entry."""


class Origin(StrEnum):
    """Where credits came from. Only what was paid for can ever be paid out."""

    PAID = "paid"
    PROMO = "promo"


class Status(StrEnum):
    """What an account may do. A frozen account receives and cannot spend; a closed one does neither."""

    OPEN = "open"
    FROZEN = "frozen"
    CLOSED = "closed"


class EntryKind(StrEnum):
    """What an entry records."""

    OPEN = "open"
    GRANT = "grant"
    DEBIT = "debit"
    CAPTURE = "capture"
    TRANSFER = "transfer"
    REFUND = "refund"
    """Undoes a debit or a capture."""
    REVOKE = "revoke"
    """Undoes a grant."""
    CLAWBACK = "clawback"
    """Takes back what was paid for and is disputed, whether or not it is still there."""
    EXPIRE = "expire"
    FREEZE = "freeze"
    UNFREEZE = "unfreeze"
    CLOSE = "close"
    SETTLE = "settle"
    """Posts to a deferred account what the legs of one closed window owe it."""


SPENDING_KINDS = frozenset({EntryKind.DEBIT, EntryKind.CAPTURE, EntryKind.REFUND})
"""Kinds whose deltas count as usage, a refund's against it; a transfer moves credits without using them."""
OWING_KINDS = frozenset({EntryKind.CAPTURE, EntryKind.REVOKE, EntryKind.CLAWBACK, EntryKind.SETTLE})
"""Kinds that may leave an account owing: what is disputed or delivered counts, even if the credits are gone. A capture
owes only after a clawback took what its hold had set aside."""

IMMEDIATE_CLASSES = frozenset({"user", "card", "pool", "escrow"})
DEFERRED_CLASSES = frozenset({"earn", "house"})
"""Many pay into these, so postings only name them in a leg; settlement posts to them later."""

HOUSE_REVENUE = AccountId("house:revenue")
HOUSE_PROMOTIONS = AccountId("house:promotions")
HOUSE_PAYMENTS = AccountId("house:payments")
"""Where paid credits come from: what customers paid is on its other side, in money."""
HOUSE_ADVANCES = AccountId("house:advances")
"""What is lent to contributors until use has earned it."""
HOUSE_BREAKAGE = AccountId("house:breakage")
"""Credits that nobody used before they expired."""
HOUSE_DISPUTES = AccountId("house:disputes")
MONEY_ACCOUNTS = (HOUSE_PAYMENTS, HOUSE_DISPUTES)
"""What is posted against these is money at a payment provider, and can be held against its books."""
HOUSE_CLEARING = AccountId("house:clearing")
"""The other side of every settlement: its legs cancel those that were folded. Nothing is ever posted to it."""


def account_class(account_id: AccountId) -> str:
    """The part of an account id before the colon."""
    return account_id.partition(":")[0]


STATUS_AFTER = {
    EntryKind.FREEZE: Status.FROZEN,
    EntryKind.UNFREEZE: Status.OPEN,
    EntryKind.CLOSE: Status.CLOSED,
}
"""Kinds that change what their account may do."""


class Lot(Struct, frozen=True):
    """Credits of one origin that expire together; `None` never expires. Below zero it is what the account owes."""

    origin: Origin
    expires_at_ms: int | None
    remaining_micros: int


class LotChange(Struct, frozen=True):
    """What an entry did to the lots of one origin and expiry. Summed over a chain, changes give the lots."""

    origin: Origin
    expires_at_ms: int | None
    delta_micros: int


class Leg(Struct, frozen=True):
    """The other side of an entry: positive where the credits went, negative where they came from."""

    account_id: AccountId
    origin: Origin
    amount_micros: int


class Share(Struct, frozen=True):
    """A payee's weight in the split of a charge. List the platform first: ties in rounding go to it."""

    account_id: AccountId
    weight: int


HOUSE_ONLY = (Share(HOUSE_REVENUE, 1),)
"""Nobody else has a part in it."""


class Hold(Struct, frozen=True):
    """Credits set aside for a call. Past `expires_at_ms` it no longer counts, whether or not it was swept."""

    hold_id: HoldId
    amount_micros: int
    placed_at_ms: int
    expires_at_ms: int


class RateWindow(Struct, frozen=True):
    """How many holds were placed since `start_ms`; it rides on the head, so the count is exact across instances."""

    start_ms: int = 0
    count: int = 0


class HoldLimits(Struct, frozen=True):
    """What bounds the holds of an account."""

    open_max: int
    window_ms: int
    per_window_max: int


class RateLeft(Struct, frozen=True):
    """What is left of an account's rate after a hold was placed."""

    limit: int
    remaining: int
    resets_in_ms: int


class SendLimits(Struct, frozen=True):
    """What bounds the credits that a person sends to others."""

    per_day_micros_max: int
    repeat_window_ms: int
    """A second transfer of the same amount to the same account within it needs a word of confirmation."""


class Sending(Struct, frozen=True):
    """What was sent in the day (UTC) that began at `day_start_ms`, and the last transfer. It rides on the head."""

    day_start_ms: int = 0
    sent_micros: int = 0
    last_to: str = ""
    last_micros: int = 0
    last_at_ms: int = 0


class SpendLimit(Struct, frozen=True):
    """The most that an account may spend in a period (UTC)."""

    amount_micros: int
    period: Period


class Allowance(Struct, frozen=True):
    """What an account may spend in a period, and what it spent in this day, week and month (UTC).

    It rides on the head, so the limit is exact across instances. Accounts without one have no limit and no such counts.
    """

    limit: SpendLimit | None = None
    counted_at_ms: int = 0
    """When it last spent. The counts are those of the periods that this moment lies in; later ones begin at zero."""
    day_micros: int = 0
    week_micros: int = 0
    month_micros: int = 0
    filled_ms: int = 0
    """Where the latest period began in which it was topped up."""


class Stake(Struct, frozen=True):
    """What one person has in a pool, and what they took of the others' credits."""

    user_id: UserId
    seated: bool = True
    """Whether they are a member now. Whoever left keeps what flows back to them until it is fetched."""
    lends: bool = True
    """Whether the others may draw their paid credits; theirs alone to say."""
    lots: tuple[Lot, ...] = ()
    allowance: Allowance = Allowance()
    """The limit on what they draw of the others' credits, and what they drew of those."""
    contributed_micros: int = 0
    withdrawn_micros: int = 0
    used_micros: int = 0
    """Drawn and not given back, whosever it was; what is on open cards counts as used until it comes back."""
    lent_micros: int = 0
    """Of their own, what others drew and did not give back."""


class Book(Struct, frozen=True):
    """Whose the credits of a pool are: the lots of all stakes together are the lots of its head, at every moment."""

    stakes: tuple[Stake, ...] = ()
    """In the order of their user ids."""
    draws_open: int = 0
    """Cards whose rest has not come back yet."""
    closing: bool = False
    """Then nobody is seated any more."""


class Head(Struct, frozen=True):
    """An account as it stands: the only mutable document of the ledger, and the fold of its entries and holds."""

    account_id: AccountId
    seq: int = 0
    hash: str = GENESIS_HASH
    lots: tuple[Lot, ...] = ()
    spent_micros: int = 0
    holds: Mapping[HoldId, Hold] = field(default_factory=dict)
    window: RateWindow = RateWindow()
    sending: Sending = Sending()
    status: Status = Status.OPEN
    allowance: Allowance | None = None
    book: Book | None = None
    """Of a pool."""

    @property
    def balance_micros(self) -> int:
        """All credits on the account, held ones and expired ones not yet swept included."""
        return sum(lot.remaining_micros for lot in self.lots)


class Entry(Struct, frozen=True):
    """One posting. Everything but `hash` is hashed; server time and lane stand beside it in the document, unhashed."""

    account_id: AccountId
    entry_id: EntryId
    seq: int
    prev_hash: str
    kind: EntryKind
    delta_micros: int
    balance_micros: int
    lots: tuple[LotChange, ...]
    legs: tuple[Leg, ...]
    hold_id: HoldId | None
    request_hash: str
    facts: tuple[tuple[str, str], ...]
    at_ms: int
    hash: str = ""
