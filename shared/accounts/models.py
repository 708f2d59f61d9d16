"""What starting an account answers."""

from enum import StrEnum

from msgspec import Struct

from shared.base.ids import AccountId


class StageStatus(StrEnum):
    """Where one stage of the welcome bonus stands."""

    GRANTED = "granted"
    WAITING = "waiting"
    """The signal that the stage asks for is not there yet."""
    CLAIMED = "claimed"
    """The same person already had it on another account."""


class Stage(Struct, frozen=True):
    """One stage of the welcome bonus for one account."""

    name: str
    amount_micros: int
    status: StageStatus
    reason: str | None = None
    """By what the person was known again, when it is claimed."""


class StartedAccount(Struct, frozen=True):
    """An open wallet."""

    account_id: AccountId
    created: bool
    balance_micros: int
    welcome: tuple[Stage, ...]
