"""What a rail must be able to tell of its own books."""

from collections.abc import Mapping
from typing import Protocol

from shared.payments.models import RailName, Subject
from shared.reconciliation.models import BankPayout, Line, Page

PAGE_LINES_MAX = 100
"""Lines of one page: what Stripe gives at most, and what is in memory at once."""


class Statements(Protocol):
    """A provider's books, read only.

    All raise RailUnavailable when nothing is known, and RailRefused when the provider will not tell. A cursor is the
    provider's own and good for the same question later. Lines of a day that is over are expected to stay; that they do
    is what reconciliation checks.
    """

    name: RailName
    sells: tuple[RailName, ...]
    """The rails whose payments stand in these books: itself, and any other that is paid to the same place."""
    recounts: bool
    """True where what a payout contains is told by other books than lines are, so that the two may differ."""
    pays_earners: bool
    """True where transfers to earners leave from these books."""
    tells_payouts: bool
    """False where nothing says which payout a line is in: then none is missed, and none is late."""

    async def lines(self, day: str, cursor: str | None) -> Page:
        """Some of what moved our balance on a UTC day."""

    async def line(self, line_id: str) -> Line | None:
        """One of them as it stands now; None when there is none."""

    async def bank_payouts(self, day: str) -> tuple[BankPayout, ...]:
        """What arrived at our bank on a day, or ought to have. A provider makes a few of them a day at most."""

    async def bank_payout(self, payout_id: str) -> BankPayout | None:
        """One of them; None when it is none, or came back."""

    async def payout_lines(self, payout_id: str, cursor: str | None) -> Page:
        """Some of what a payout took to the bank, the payout's own line left out."""

    async def balances(self, day: str) -> Mapping[str, int] | None:
        """Our balance by currency when a day was over; None where the provider tells only today's."""

    def subject_of(self, line: Line) -> Subject | None:
        """What to look at to bring our order up to the line; None where no order is concerned."""
