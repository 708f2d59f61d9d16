"""What starting an account answers."""

from dataclasses import dataclass
from enum import StrEnum

from shared.base.ids import AccountId


class StageStatus(StrEnum):
    """Where one stage of the welcome bonus stands."""

    GRANTED = "granted"
    WAITING = "waiting"
    """The signal that the stage asks for is not there yet."""
    CLAIMED = "claimed"
    """The same person already had it on another account."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the welcome bonus for one account."""

    name: str
    amount_micros: int
    status: StageStatus


@dataclass(frozen=True, slots=True)
class StartedAccount:
    """An open wallet."""

    account_id: AccountId
    created: bool
    balance_micros: int
    welcome: tuple[Stage, ...]
