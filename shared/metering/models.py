"""What a call may cost, what it used, and what it was charged."""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from shared.base.ids import AccountId, EntryId, HoldId


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


class TokenPrice(Struct, frozen=True):
    """The price frozen into a call, in micros per million tokens."""

    prompt_micros_per_mtok: int
    completion_micros_per_mtok: int


class Usage(Struct, frozen=True):
    """Tokens that a call used."""

    prompt_tokens: int
    completion_tokens: int
    source: UsageSource


class Quote(Struct, frozen=True):
    """The most a call can cost. That much is held before the provider is called."""

    price: TokenPrice
    prompt_tokens_max: int
    completion_tokens_max: int
    choices: int
    amount_micros: int


class OwedCharge(Struct, frozen=True):
    """A charge for an answer that was delivered, still to be made."""

    account_id: AccountId
    hold_id: HoldId
    amount_micros: int
    facts: Mapping[str, str]


class Charge(Struct, frozen=True):
    """What a call was charged, and where the proof is. A free call has no entry; an owed one will have it."""

    amount_micros: int
    entry_id: EntryId | None
    balance_micros: int | None
