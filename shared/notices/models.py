"""What a notice to a user is."""

from enum import StrEnum

from msgspec import Struct

from shared.base.ids import EntryId, UserId


class NoticeKind(StrEnum):
    """Why somebody is told of an entry."""

    LOW_BALANCE = "low_balance"
    """It took the balance below the mark."""
    LARGE_MOVEMENT = "large_movement"
    """It alone moved much."""


class Notice(Struct, frozen=True):
    """One thing told to one user about one entry of their wallet. `text` is for people, the rest for programs."""

    user_id: UserId
    entry_id: EntryId
    kind: NoticeKind
    seq: int
    delta_micros: int
    balance_micros: int
    at_ms: int
    text: str

    @property
    def notice_id(self) -> str:
        """The same for the same entry and kind, whenever and however often it is made."""
        return f"{self.entry_id}-{self.kind.value}"
