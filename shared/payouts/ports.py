"""What paying out asks of a store, of the provider, and of what else is known of an earner."""

from collections.abc import Sequence
from typing import Protocol

from shared.base.ids import UserId
from shared.payments.models import Review
from shared.payouts.models import (
    ArrivalSeen,
    Earned,
    Payout,
    PayoutId,
    Recipient,
    RecipientSeen,
    Standing,
    TransferSeen,
)

PAGE_PAYOUTS_MAX = 100
DUE_MAX = 200
"""Payouts of one run of the timer. The next one finds what is left, oldest first."""


class PayoutStore(Protocol):
    """Where payouts are kept. All raise PaymentsUnavailable; then a write may or may not have been made."""

    async def create(self, payout: Payout) -> Payout:
        """The payout of that id: this one, or the one that was there. Durable once returned."""

    async def find(self, payout_id: PayoutId) -> Payout | None:
        """The payout as it stands now."""

    async def replace(self, before: Payout, after: Payout) -> None:
        """Write over exactly what was read; it is due for a look at once. Raise PayoutBusy."""

    async def was_paid(self, owner: UserId) -> bool:
        """Whether a payout of this owner was ever paid, and not sent back."""

    async def owned_by(self, owner: UserId, *, after: PayoutId | None) -> Sequence[Payout]:
        """A page of an owner's payouts in the order of their ids; one that is not full is the last."""

    async def waiting(self, *, after: PayoutId | None) -> Sequence[Payout]:
        """A page of those that wait for a person, in the order of their ids; one that is not full is the last."""

    async def due(self, *, at_ms: int) -> Sequence[PayoutId]:
        """At most DUE_MAX payouts that somebody ought to look at by now, those that wait longest first."""

    async def looked(self, payout_id: PayoutId, *, due_ms: int | None) -> None:
        """Remember when somebody is to look at it next; None: never, unless it changes."""


class RecipientStore(Protocol):
    """Where recipients are kept. All raise PaymentsUnavailable."""

    async def create(self, recipient: Recipient) -> Recipient:
        """The owner's recipient: this one, or the one that was there. Durable once returned."""

    async def find(self, owner: UserId) -> Recipient | None:
        """The owner's recipient."""

    async def find_by(self, destination: str) -> Recipient | None:
        """Whose account at the provider it is."""

    async def replace(self, before: Recipient, after: Recipient) -> None:
        """Write over exactly what was read. Raise PayoutBusy."""


class Doubts(Protocol):
    """Where a person looks: what payments ask of people is kept there too."""

    async def keep_review(self, review: Review, *, at_ms: int) -> None:
        """Put it before a person; the same one only once. Durable once returned. Raise PaymentsUnavailable."""


class Sender(Protocol):
    """The provider as the way out. Raise RailUnavailable when nothing is known of the outcome, or RailRefused."""

    async def find(self, payout: Payout) -> TransferSeen | None:
        """The transfer made for the payout, by its own record and not by a key, which providers forget."""

    async def send(self, payout: Payout) -> TransferSeen:
        """Make it, under one key for all tries."""

    async def reverse(self, payout: Payout, transfer: TransferSeen) -> None:
        """Fetch all of it back, once. Refused when the recipient no longer has it."""

    async def find_arrival(self, payout: Payout) -> ArrivalSeen | None:
        """What is on its way to the bank, or arrived, for this attempt at the payout."""

    async def deliver(self, payout: Payout) -> ArrivalSeen:
        """Have what was transferred sent on to the bank, once for each attempt."""


class Accounts(Protocol):
    """The provider's accounts of recipients. Raise RailUnavailable or RailRefused."""

    async def open(self, owner: UserId, country: str) -> str:
        """An account for a recipient, whose money leaves it only when we say so; the provider's id of it."""

    async def link(self, destination: str, *, key: str) -> str:
        """A page, good for a few minutes, on which the recipient says who they are and which bank account is theirs."""

    async def look(self, destination: str) -> RecipientSeen:
        """What the provider shows of it now."""


class Standings(Protocol):
    """What is known of earners."""

    async def of(self, owner: UserId) -> Standing:
        """All of it, as of now. Raise RailUnavailable, PaymentsUnavailable or LedgerUnavailable."""

    async def earned(self, owner: UserId) -> Earned:
        """The earnings alone. Raise LedgerUnavailable."""
