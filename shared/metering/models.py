"""What a call may cost, what it used, and what it was charged."""

from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum

from msgspec import Struct

from shared.base.ids import AccountId, EntryId, HoldId
from shared.base.units import PROMPT_KINDS, Counts, Rates, Unit
from shared.ledger.models import HOUSE_ONLY, Share


class UsageSource(StrEnum):
    """Who counted. Named on the receipt."""

    REPORTED = "reported"
    """The provider counted."""
    ESTIMATED = "estimated"
    """The provider gave no usable count; we counted what was delivered."""


class Outcome(StrEnum):
    """How a call ended. Named on the receipt."""

    FINISHED = "finished"
    CUT = "cut"
    """The provider broke off."""
    ABANDONED = "abandoned"
    """The client left before the end."""


DEMAND_NEUTRAL_PPM = 1_000_000
"""The demand multiplier of a model that is asked for as much as usual, in millionths."""


class Usage(Struct, frozen=True):
    """How much of each unit a call used. Parts of a prompt with a rate of their own are not in `prompt_tokens`."""

    counts: Counts
    source: UsageSource

    def count(self, unit: Unit) -> int:
        """How much of one unit."""
        return self.counts.get(unit, 0)

    @property
    def prompt_tokens(self) -> int:
        """All tokens of the prompt, whatever they cost."""
        return sum(self.count(unit) for unit in (Unit.PROMPT_TOKEN, *PROMPT_KINDS))


class Quote(Struct, frozen=True):
    """The most a call can cost. That much is held before the provider is called; the rates are frozen with it."""

    rates: Rates
    counts_max: Counts
    """Of all choices together."""
    choices: int
    demand_ppm: int
    price_version: str
    amount_micros: int
    demand_rule: str = ""
    """What made the multiplier, where that was not demand."""

    @property
    def prompt_tokens_max(self) -> int:
        """The longest that the prompt can be."""
        return self.counts_max.get(Unit.PROMPT_TOKEN, 0)

    @property
    def completion_tokens_max(self) -> int:
        """The longest that one choice may get."""
        return self.counts_max.get(Unit.COMPLETION_TOKEN, 0) // self.choices


class OwedCharge(Struct, frozen=True):
    """A charge for an answer that was delivered, still to be made."""

    account_id: AccountId
    hold_id: HoldId
    amount_micros: int
    facts: Mapping[str, str]
    shares: tuple[Share, ...] = HOUSE_ONLY
    """Who has a part in it."""


BeforeCharge = Callable[[OwedCharge], Awaitable[None]]
"""Awaited before a charge is made. What it raises keeps the charge from being made."""


class Charge(Struct, frozen=True):
    """What a call was charged, and where the proof is. A free call has no entry; an owed one will have it."""

    amount_micros: int
    entry_id: EntryId | None
    balance_micros: int | None
